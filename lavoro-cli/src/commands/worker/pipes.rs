//! The pipes of a command: read to their end whatever it writes, kept within bounds.

use std::collections::VecDeque;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Where bytes are kept.
pub(super) trait Keep {
    /// Takes bytes in.
    fn keep(&mut self, bytes: &[u8]);
}

/// Keeps the first bytes.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    limit: usize,
}

impl Head {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// What was kept, as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Keep for Head {
    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

/// Keeps the last bytes.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl Tail {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit }
    }

    /// The end of what was kept, as text of at most `limit` bytes.
    pub(super) fn text(&mut self, limit: usize) -> String {
        let text = String::from_utf8_lossy(self.bytes.make_contiguous()).into_owned();
        let from = (text.len().saturating_sub(limit)..=text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len());
        text.get(from..).unwrap_or_default().to_owned()
    }
}

impl Keep for Tail {
    fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..excess);
    }
}

/// Reads to the end.
pub(super) async fn read(pipe: Option<impl AsyncRead + Unpin>, keep: &mut impl Keep) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        keep.keep(buffer.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_the_beginning() {
        let mut head = Head::new(5);
        head.keep(b"abc");
        head.keep(b"defg");
        head.keep(b"h");
        assert_eq!(head.text(), "abcde");
    }

    #[test]
    fn a_tail_keeps_the_end_and_whole_characters() {
        let mut tail = Tail::new(6);
        tail.keep(b"0123");
        tail.keep("abéé".as_bytes());
        assert_eq!(tail.text(100), "abéé");
        assert_eq!(tail.text(3), "é");
        tail.keep(b"0123456789");
        assert_eq!(tail.text(100), "456789");
    }
}
