//! A pattern of STIX 2.1 in, what it compares with what out; only the simplest comparisons are understood.
//!
//! Understood: `[a:b = 'x']`, several of them joined by `OR` inside or outside the brackets, `IN` with a list, `LIKE '%.x'` for names,
//! `ISSUBSET` for addresses, and of `network-traffic` the address, its type and the port of the destination joined by `AND`.
//! Everything else is refused whole: half a condition is another condition.

use crate::attribute::PatternKind;

/// A comparison: path of the object, operator, values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    path: String,
    operator: Operator,
    values: Vec<Literal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    In,
    Like,
    Subset,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Literal {
    Text(String),
    Number(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Equal,
    Word(String),
    Literal(Literal),
}

/// What a pattern asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What the value is: of `None` the value itself tells (a URL).
    pub kind: Option<PatternKind>,
    pub text: String,
    pub port: Option<u16>,
}

/// Longest pattern that is read.
const PATTERN_MAX: usize = 100_000;

/// What a pattern asks for, or why it is not understood.
pub(super) fn read(pattern: &str) -> Result<Vec<Asked>, &'static str> {
    if pattern.len() > PATTERN_MAX {
        return Err("patterns that are too long");
    }
    let tokens = tokens(pattern)?;
    let mut parser = Parser { rest: &tokens };
    let mut asked = Vec::new();
    loop {
        parser.expect(&Token::Open)?;
        parser.observation(&mut asked)?;
        match parser.next() {
            None => return Ok(asked),
            Some(Token::Word(word)) if word == "OR" => {}
            Some(_) => {
                return Err("patterns with qualifiers, AND or FOLLOWEDBY between observations");
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a [Token],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn expect(&mut self, wanted: &Token) -> Result<(), &'static str> {
        match self.next() {
            Some(token) if token == wanted => Ok(()),
            _ => Err("patterns that are not well formed, or use parentheses"),
        }
    }

    /// Up to its closing bracket.
    fn observation(&mut self, asked: &mut Vec<Asked>) -> Result<(), &'static str> {
        let mut all = vec![self.comparison()?];
        let mut joined: Option<&str> = None;
        loop {
            match self.next() {
                Some(Token::Close) => break,
                Some(Token::Word(word)) if word == "AND" || word == "OR" => {
                    if joined.is_some_and(|before| before != word) {
                        return Err("patterns that mix AND and OR");
                    }
                    joined = Some(word);
                    all.push(self.comparison()?);
                }
                _ => return Err("patterns that are not well formed, or use parentheses"),
            }
        }
        if joined == Some("AND") {
            asked.push(traffic(&all)?);
        } else {
            for comparison in &all {
                alone(comparison, asked)?;
            }
        }
        Ok(())
    }

    fn comparison(&mut self) -> Result<Comparison, &'static str> {
        const WRONG: &str = "patterns with NOT, or another comparison than =, IN, LIKE, ISSUBSET";
        let Some(Token::Word(path)) = self.next() else {
            return Err("patterns that are not well formed, or use parentheses");
        };
        let operator = match self.next() {
            Some(Token::Equal) => Operator::Equal,
            Some(Token::Word(word)) => match word.as_str() {
                "IN" => Operator::In,
                "LIKE" => Operator::Like,
                "ISSUBSET" => Operator::Subset,
                _ => return Err(WRONG),
            },
            _ => return Err(WRONG),
        };
        let mut values = Vec::new();
        if operator == Operator::In {
            self.expect(&Token::OpenList)?;
            loop {
                values.push(self.literal()?);
                match self.next() {
                    Some(Token::Comma) => {}
                    Some(Token::CloseList) => break,
                    _ => return Err(WRONG),
                }
            }
        } else {
            values.push(self.literal()?);
        }
        let path = path.clone();
        Ok(Comparison {
            path,
            operator,
            values,
        })
    }

    fn literal(&mut self) -> Result<Literal, &'static str> {
        match self.next() {
            Some(Token::Literal(literal)) => Ok(literal.clone()),
            _ => Err("patterns that compare with something else than a text or a number"),
        }
    }
}

/// A comparison that means something by itself.
fn alone(comparison: &Comparison, asked: &mut Vec<Asked>) -> Result<(), &'static str> {
    let kind = match comparison.path.as_str() {
        "domain-name:value" => Some(PatternKind::Name),
        "ipv4-addr:value" | "ipv6-addr:value" | "network-traffic:dst_ref.value" => {
            Some(PatternKind::Network)
        }
        "url:value" => None,
        _ => return Err("patterns over objects that a sensor does not see"),
    };
    for value in &comparison.values {
        let Literal::Text(text) = value else {
            return Err("patterns that compare with something else than a text or a number");
        };
        let text = match comparison.operator {
            Operator::Equal | Operator::In => text.clone(),
            Operator::Subset if kind == Some(PatternKind::Network) => text.clone(),
            Operator::Like if kind == Some(PatternKind::Name) => {
                // A percent sign is any text and an underscore any character: only what `*.x` says is taken.
                let zone = text
                    .strip_prefix("%.")
                    .filter(|zone| !zone.contains(['%', '_']));
                format!(
                    "*.{}",
                    zone.ok_or("patterns with LIKE other than '%.name'")?
                )
            }
            _ => return Err("patterns with a comparison that does not fit the object"),
        };
        let port = None;
        asked.push(Asked { kind, text, port });
    }
    Ok(())
}

/// Address, type and port of a destination.
fn traffic(all: &[Comparison]) -> Result<Asked, &'static str> {
    const WRONG: &str = "patterns with AND other than address, type and port of a destination";
    let (mut text, mut port) = (None, None);
    for comparison in all {
        let ([value], Operator::Equal) = (comparison.values.as_slice(), comparison.operator) else {
            return Err(WRONG);
        };
        match (comparison.path.as_str(), value) {
            ("network-traffic:dst_ref.type", Literal::Text(kind))
                if matches!(kind.as_str(), "ipv4-addr" | "ipv6-addr" | "domain-name") => {}
            ("network-traffic:dst_ref.value", Literal::Text(value)) if text.is_none() => {
                text = Some(value.clone());
            }
            ("network-traffic:dst_port", Literal::Number(number)) if port.is_none() => {
                port = Some(u16::try_from(*number).map_err(|_| WRONG)?);
            }
            _ => return Err(WRONG),
        }
    }
    let text = text.ok_or(WRONG)?;
    let kind = match text.parse::<std::net::IpAddr>() {
        Ok(_) => PatternKind::Network,
        Err(_) => PatternKind::Name,
    };
    let kind = Some(kind);
    Ok(Asked { kind, text, port })
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            ' ' | '\t' | '\n' | '\r' => continue,
            '[' => Token::Open,
            ']' => Token::Close,
            '(' => Token::OpenList,
            ')' => Token::CloseList,
            ',' => Token::Comma,
            '=' => {
                // `==` is allowed by the grammar and means the same.
                characters.next_if_eq(&'=');
                Token::Equal
            }
            '\'' => Token::Literal(Literal::Text(quoted(&mut characters)?)),
            first if first.is_ascii_digit() => {
                let mut digits = String::from(first);
                while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                Token::Literal(Literal::Number(
                    digits
                        .parse()
                        .map_err(|_| "patterns with a number that is too large")?,
                ))
            }
            first if first.is_ascii_alphabetic() => {
                let mut word = String::from(first);
                let part =
                    |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
                while let Some(next) = characters.next_if(part) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => return Err("patterns that are not well formed, or use other comparisons"),
        });
    }
    Ok(tokens)
}

/// Up to the closing quote; a backslash stands before a quote or a backslash.
fn quoted(characters: &mut impl Iterator<Item = char>) -> Result<String, &'static str> {
    const WRONG: &str = "patterns with a text that is not well formed";
    let mut text = String::new();
    loop {
        match characters.next().ok_or(WRONG)? {
            '\'' => return Ok(text),
            '\\' => match characters.next() {
                Some(escaped @ ('\'' | '\\')) => text.push(escaped),
                _ => return Err(WRONG),
            },
            other => text.push(other),
        }
    }
}

/// Reads any text as a pattern.
///
/// # Panics
/// If something is asked for that does not stand in the text: a mistake here.
pub fn fuzz_stix_pattern(text: &str) {
    for asked in read(text).unwrap_or_default() {
        let plain = asked.text.strip_prefix("*.").unwrap_or(&asked.text);
        assert!(text.contains(plain) || plain.contains(['\'', '\\']));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;
    use proptest::prelude::*;

    fn texts(pattern: &str) -> Result<Vec<String>, &'static str> {
        Ok(read(pattern)?.into_iter().map(|asked| asked.text).collect())
    }

    #[test]
    fn simple_comparisons_are_understood() {
        for (pattern, expected) in [
            ("[domain-name:value = 'a.example']", &["a.example"][..]),
            (
                "[domain-name:value='a.example' OR domain-name:value == 'b.example']",
                &["a.example", "b.example"],
            ),
            (
                "[ipv4-addr:value = '203.0.113.1'] OR [url:value = 'http://x.example/y']",
                &["203.0.113.1", "http://x.example/y"],
            ),
            (
                "[domain-name:value IN ('a.example', 'b.example')]",
                &["a.example", "b.example"],
            ),
            ("[domain-name:value LIKE '%.a.example']", &["*.a.example"]),
            (
                "[ipv4-addr:value ISSUBSET '203.0.113.0/24']",
                &["203.0.113.0/24"],
            ),
            (
                "[url:value = 'http://it\\'s.example/']",
                &["http://it's.example/"],
            ),
        ] {
            assert_eq!(texts(pattern).unwrap(), expected, "{pattern}");
        }
        let traffic = "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '203.0.113.7' AND network-traffic:dst_port = 443]";
        let asked = read(traffic).unwrap();
        assert_eq!(
            asked,
            [Asked {
                kind: Some(PatternKind::Network),
                text: "203.0.113.7".to_owned(),
                port: Some(443)
            }]
        );
    }

    #[test]
    fn anything_else_is_refused_whole() {
        for pattern in [
            "",
            "domain-name:value = 'a.example'",
            "[domain-name:value != 'a.example']",
            "[NOT domain-name:value = 'a.example']",
            "[domain-name:value = 'a.example' AND ipv4-addr:value = '203.0.113.1']",
            "[domain-name:value = 'a.example' OR domain-name:value = 'b.example' AND url:value = 'c']",
            "[domain-name:value = 'a.example'] AND [url:value = 'http://b.example']",
            "[domain-name:value = 'a.example'] FOLLOWEDBY [url:value = 'http://b.example']",
            "[domain-name:value = 'a.example'] WITHIN 5 SECONDS",
            "[domain-name:value LIKE 'a%']",
            "[domain-name:value LIKE '%.a_b.example']",
            "[domain-name:value MATCHES '.*']",
            "[file:hashes.'SHA-256' = 'aa']",
            "[domain-name:value = 5]",
            "[domain-name:value = 'a.example'",
            "[domain-name:value = 'a.example",
            "[(domain-name:value = 'a.example')]",
            "[network-traffic:dst_ref.value = '203.0.113.7' AND network-traffic:dst_port = 70000]",
        ] {
            assert!(texts(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]()='%.,: a-zA-Z0-9\\\\-]{0,80}") {
            fuzz_stix_pattern(&text);
        }
    }
}
