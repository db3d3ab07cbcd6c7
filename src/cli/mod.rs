//! Command lines in, text and exit codes out.

pub mod rules;
