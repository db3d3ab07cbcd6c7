//! A rule file and a place in it, for messages that name file and line.

use toml::Spanned;

use super::error::RulesError;

/// A file and its text, for messages that name a line.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

impl Place<'_> {
    pub fn wrong<T>(&self, what: &Spanned<T>, problem: String) -> RulesError {
        self.wrong_at(what.span().start, problem)
    }

    /// The line, counted from 1, of a value of this file.
    pub fn line<T>(&self, what: &Spanned<T>) -> usize {
        self.line_at(what.span().start)
    }

    /// The line, counted from 1, of a byte of this file.
    pub fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.split(|&byte| byte == b'\n').count()
    }

    /// An error at a byte of this file.
    pub fn wrong_at(&self, offset: usize, problem: String) -> RulesError {
        RulesError::Meaning {
            file: self.path.to_owned(),
            line: self.line_at(offset),
            problem,
        }
    }
}
