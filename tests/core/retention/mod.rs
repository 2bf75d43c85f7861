//! Ended jobs are kept as long as the database says and no longer, whoever prunes.

mod hand;
mod pruning;
mod rules;
