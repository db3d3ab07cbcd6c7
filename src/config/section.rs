//! What all sections of the configuration are made of: values that know where they come from, and the macro that makes a section.

use std::path::Path;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The program.
    #[default]
    Default,
    /// A line of a configuration file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// An option of the command line.
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value and where it comes from. Later sources win: defaults, the file, the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// What the program itself says.
    pub fn default_of(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    /// Takes what the command line says, if it says anything.
    pub fn flag(&mut self, flag: &'static str, given: Option<T>) {
        if let Some(value) = given {
            self.value = value;
            self.origin = Origin::Flag(flag);
        }
    }
}

impl Sourced<String> {
    /// A path; the empty text stands for none.
    pub fn path(&self) -> Option<&Path> {
        (!self.value.is_empty()).then(|| Path::new(self.value.as_str()))
    }
}

/// Turns an offset in the text of a file into the origin of what stands there.
pub(super) struct Place<'a> {
    pub path: Arc<Path>,
    pub text: &'a str,
}

impl Place<'_> {
    pub fn at(&self, offset: usize) -> Origin {
        Origin::File {
            path: Arc::clone(&self.path),
            line: line_of(self.text, offset),
        }
    }
}

/// The line, from 1, that an offset lies in.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.split(|byte| *byte == b'\n').count()
}

/// One value as it is shown.
pub struct Entry<'a> {
    /// The section.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// The value.
    pub value: toml::Value,
    /// Where it comes from.
    pub origin: &'a Origin,
}

/// Makes a section twice: as it stands in a file, where every key may be missing, and whole, with the origin of each value.
///
/// A number has its bounds behind `within`.
macro_rules! section {
    ($(#[$meta:meta])* pub struct $name:ident, $raw:ident, $section:literal {
        $($(#[$key_meta:meta])* $key:ident: $type:ty = $default:expr $(, within $range:expr)?;)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(clippy::struct_field_names, reason = "the names are the keys of the file")]
        pub struct $name {
            $($(#[$key_meta])* pub $key: $crate::config::Sourced<$type>,)+
        }

        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(clippy::struct_field_names, reason = "the names are the keys of the file")]
        pub(super) struct $raw {
            $($key: Option<toml::Spanned<$type>>,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $crate::config::Sourced::default_of($default),)+ }
            }
        }

        impl $name {
            pub(super) fn overlay(&mut self, raw: $raw, place: &$crate::config::section::Place<'_>) {
                $(if let Some(given) = raw.$key {
                    self.$key.origin = place.at(given.span().start);
                    self.$key.value = given.into_inner();
                })+
            }

            /// Everything in the section, in the order of the example.
            pub(super) fn entries<'a>(&'a self, entries: &mut Vec<$crate::config::Entry<'a>>) {
                $(entries.push($crate::config::Entry {
                    section: $section,
                    key: stringify!($key),
                    value: $crate::config::section::shown(&self.$key.value),
                    origin: &self.$key.origin,
                });)+
            }

            /// Whether every number lies within its bounds.
            pub(super) fn check(&self) -> Result<(), $crate::config::ConfigError> {
                $($($crate::config::check_range(
                    concat!($section, ".", stringify!($key)),
                    &self.$key,
                    &$range,
                )?;)?)+
                Ok(())
            }
        }
    };
}
pub(super) use section;

/// A value as TOML has it. TOML's numbers are signed: no bound is as large as that.
pub(super) fn shown<T: serde::Serialize>(value: &T) -> toml::Value {
    toml::Value::try_from(value).unwrap_or(toml::Value::Integer(i64::MAX))
}
