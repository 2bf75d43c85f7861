//! Which entry of a worker's options serves a queue.

use crate::options::QueueOptions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The entries, told apart: queues by name, and wildcards, which end in `*` and stand for all
/// queues that begin alike.
#[derive(Debug)]
pub(super) struct Serving {
    exact: BTreeMap<Arc<str>, u32>,
    /// The longest prefix first.
    wildcards: Vec<Wildcard>,
}

#[derive(Debug)]
struct Wildcard {
    prefix: String,
    entry: Arc<str>,
    weight: u32,
}

impl Serving {
    pub(super) fn new(queues: &BTreeMap<String, QueueOptions>) -> Self {
        let mut exact = BTreeMap::new();
        let mut wildcards = Vec::new();
        for (name, options) in queues {
            let entry: Arc<str> = name.as_str().into();
            match name.strip_suffix('*') {
                Some(prefix) => wildcards.push(Wildcard {
                    prefix: prefix.to_owned(),
                    entry,
                    weight: options.weight,
                }),
                None => {
                    exact.insert(entry, options.weight);
                }
            }
        }
        wildcards.sort_by_key(|wildcard| std::cmp::Reverse(wildcard.prefix.len()));
        Self { exact, wildcards }
    }

    /// The entry that serves a queue, with its weight: the queue's own, else the wildcard that
    /// has most in common with it.
    pub(super) fn entry(&self, queue: &str) -> Option<(Arc<str>, u32)> {
        if let Some((entry, weight)) = self.exact.get_key_value(queue) {
            return Some((Arc::clone(entry), *weight));
        }
        let serves = |wildcard: &&Wildcard| queue.starts_with(&wildcard.prefix);
        self.wildcards.iter().find(serves).map(|w| (Arc::clone(&w.entry), w.weight))
    }

    /// The queues that are named.
    pub(super) fn named(&self) -> impl Iterator<Item = &Arc<str>> {
        self.exact.keys()
    }

    /// Whether this queue is among them.
    pub(super) fn is_named(&self, queue: &str) -> bool {
        self.exact.contains_key(queue)
    }

    /// What the queues that wildcards stand for begin with.
    pub(super) fn prefixes(&self) -> Vec<String> {
        self.wildcards.iter().map(|wildcard| wildcard.prefix.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_served_by_the_entry_that_has_most_in_common_with_it() {
        let names = ["*", "mail", "mail-*", "mail-eu-*"];
        let queues = names.map(|name| (name.to_owned(), QueueOptions::from(1)));
        let serving = Serving::new(&queues.into());
        for (queue, entry) in [
            ("mail", "mail"),
            ("mail-us", "mail-*"),
            ("mail-eu-1", "mail-eu-*"),
            ("mail-", "mail-*"),
            ("other", "*"),
        ] {
            assert_eq!(&*serving.entry(queue).unwrap().0, entry, "{queue}");
        }
        let serving = Serving::new(&[("mail-*".to_owned(), QueueOptions::from(1))].into());
        assert!(serving.entry("mail").is_none());
    }
}
