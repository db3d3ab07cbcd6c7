//! Lines of a key log → secrets of TLS sessions, by the client's random number.
//!
//! The format is that of NSS (`SSLKEYLOGFILE`, draft-ietf-tls-keylogfile): a label, the random number and a secret, both in
//! hexadecimal. What a label says that is of no use here is passed over and counted.
//!
//! **Invariants**: what was learnt stays as it was learnt first; at most so many sessions are held as was said; no secret is shown by
//! `Debug`, and none can be asked for but by the session that it opens.

use std::collections::HashMap;
use std::sync::Arc;

/// The longest secret: the master secret, and those of the suites with SHA-384.
const SECRET_BYTES_MAX: usize = 48;
/// The random number of a hello.
pub(super) const RANDOM_BYTES: usize = 32;
/// Label, random number and secret have some 200 characters.
pub const LINE_BYTES_MAX: usize = 512;

/// A secret of TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret {
    bytes: [u8; SECRET_BYTES_MAX],
    len: u8,
}

impl Secret {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self {
            bytes: [0; SECRET_BYTES_MAX],
            len: bytes.len() as u8,
        };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What is known of one session.
#[derive(Clone, Copy, Default)]
pub struct Secrets {
    /// The master secret of TLS up to 1.2.
    pub(super) master: Option<Secret>,
    pub(super) client_handshake: Option<Secret>,
    pub(super) server_handshake: Option<Secret>,
    pub(super) client_traffic: Option<Secret>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Adds what is not known yet; whether that was anything.
    fn add(&mut self, other: &Self) -> bool {
        let mut added = false;
        for (mine, theirs) in [
            (&mut self.master, other.master),
            (&mut self.client_handshake, other.client_handshake),
            (&mut self.server_handshake, other.server_handshake),
            (&mut self.client_traffic, other.client_traffic),
        ] {
            if mine.is_none() && theirs.is_some() {
                *mine = theirs;
                added = true;
            }
        }
        added
    }
}

/// What became of the lines of key logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounters {
    /// Blocks of secrets in captures.
    pub blocks: u64,
    /// Of these, blocks with secrets of something else than TLS.
    pub other_blocks: u64,
    /// Secrets kept.
    pub secrets: u64,
    /// Secrets that were known already.
    pub repeated: u64,
    /// Secrets that are of no use here, as those of the server's stream and of QUIC.
    pub ignored: u64,
    /// Lines that are none of a key log.
    pub malformed: u64,
    /// Secrets that found no room.
    pub refused: u64,
}

impl std::ops::AddAssign for KeyCounters {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.blocks, other.blocks),
            (&mut self.other_blocks, other.other_blocks),
            (&mut self.secrets, other.secrets),
            (&mut self.repeated, other.repeated),
            (&mut self.ignored, other.ignored),
            (&mut self.malformed, other.malformed),
            (&mut self.refused, other.refused),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A comment, or nothing.
    Empty,
    /// A secret that is of use; it is kept, known already, or finds no room.
    Secret,
    /// A secret that is of no use here.
    Ignored,
    /// No line of a key log.
    Malformed,
}

type Layer = HashMap<[u8; RANDOM_BYTES], Secrets>;

/// Secrets by the client's random number. Cheap to clone; what was cloned stays as it is.
#[derive(Clone)]
pub struct KeyStore {
    /// Each at least twice as large as the next: adding costs little however often it happens, and what is shared is not touched.
    layers: Vec<Arc<Layer>>,
    sessions_max: usize,
    counters: KeyCounters,
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyStore")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Default for KeyStore {
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl KeyStore {
    /// No secrets, and room for those of so many sessions.
    pub const fn new(sessions_max: usize) -> Self {
        Self {
            layers: Vec::new(),
            sessions_max,
            counters: KeyCounters {
                blocks: 0,
                other_blocks: 0,
                secrets: 0,
                repeated: 0,
                ignored: 0,
                malformed: 0,
                refused: 0,
            },
        }
    }

    /// Whether no secret is known.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// What became of the lines.
    pub const fn counters(&self) -> KeyCounters {
        self.counters
    }

    /// The same secrets, with nothing counted.
    #[must_use]
    pub fn uncounted(&self) -> Self {
        Self {
            counters: KeyCounters::default(),
            ..self.clone()
        }
    }

    /// Adds the secrets of a text, as it stands in a block of a capture. Whether any of them is new.
    pub fn add_block(&mut self, text: &[u8]) -> bool {
        self.counters.blocks = self.counters.blocks.saturating_add(1);
        let mut adding = self.adding();
        for line in text.split(|byte| *byte == b'\n') {
            adding.line(line);
        }
        adding.finish()
    }

    /// Counts a block with secrets of something else than TLS.
    pub const fn add_other_block(&mut self) {
        self.counters.blocks = self.counters.blocks.saturating_add(1);
        self.counters.other_blocks = self.counters.other_blocks.saturating_add(1);
    }

    /// Begins to add secrets, line by line.
    pub fn adding(&mut self) -> Adding<'_> {
        Adding {
            layer: Layer::new(),
            store: self,
        }
    }

    /// What is known of the session that this number began.
    pub(crate) fn secrets(&self, client_random: &[u8; RANDOM_BYTES]) -> Option<Secrets> {
        let mut found: Option<Secrets> = None;
        for layer in &self.layers {
            if let Some(secrets) = layer.get(client_random) {
                found.get_or_insert_default().add(secrets);
            }
        }
        found
    }

    fn sessions(&self) -> usize {
        let layers = self.layers.iter().map(|layer| layer.len());
        layers.fold(0, usize::saturating_add)
    }

    fn push(&mut self, mut layer: Layer) {
        while self
            .layers
            .last()
            .is_some_and(|last| last.len() < layer.len().saturating_mul(2))
            && let Some(last) = self.layers.pop()
        {
            // What was learnt first counts.
            let mut merged = Arc::unwrap_or_clone(last);
            for (random, secrets) in layer {
                merged.entry(random).or_default().add(&secrets);
            }
            layer = merged;
        }
        self.layers.push(Arc::new(layer));
    }
}

/// Lines on their way into a [`KeyStore`]; they count once [`Self::finish`] was called.
pub struct Adding<'a> {
    store: &'a mut KeyStore,
    layer: Layer,
}

impl Adding<'_> {
    /// Takes a line, without its line feed.
    pub fn line(&mut self, line: &[u8]) -> LineKind {
        let counters = &mut self.store.counters;
        match parse(line) {
            Parsed::Empty => LineKind::Empty,
            Parsed::Ignored => {
                counters.ignored = counters.ignored.saturating_add(1);
                LineKind::Ignored
            }
            Parsed::Malformed => {
                counters.malformed = counters.malformed.saturating_add(1);
                LineKind::Malformed
            }
            Parsed::Secret(random, secrets) => {
                self.secret(random, &secrets);
                LineKind::Secret
            }
        }
    }

    fn secret(&mut self, random: [u8; RANDOM_BYTES], secrets: &Secrets) {
        let known = self.store.secrets(&random);
        let has_room = self.store.sessions().saturating_add(self.layer.len())
            < self.store.sessions_max
            || self.layer.contains_key(&random);
        let counters = &mut self.store.counters;
        if known.is_some_and(|mut known| !known.add(secrets)) {
            counters.repeated = counters.repeated.saturating_add(1);
        } else if !has_room {
            counters.refused = counters.refused.saturating_add(1);
        } else if self.layer.entry(random).or_default().add(secrets) {
            counters.secrets = counters.secrets.saturating_add(1);
        } else {
            counters.repeated = counters.repeated.saturating_add(1);
        }
    }

    /// Ends: the secrets are in the store. Whether any of them is new.
    pub fn finish(self) -> bool {
        let any = !self.layer.is_empty();
        if any {
            self.store.push(self.layer);
        }
        any
    }
}

#[allow(clippy::large_enum_variant, reason = "it lives for one line")]
enum Parsed {
    Empty,
    Ignored,
    Malformed,
    Secret([u8; RANDOM_BYTES], Secrets),
}

fn parse(line: &[u8]) -> Parsed {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Parsed::Empty;
    }
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(label), Some(random), Some(secret), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Malformed;
    };
    let is_label = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    if line.len() > LINE_BYTES_MAX || label.is_empty() || !label.iter().all(is_label) {
        return Parsed::Malformed;
    }
    let place: fn(&mut Secrets) -> &mut Option<Secret> = match label {
        b"CLIENT_RANDOM" => |secrets| &mut secrets.master,
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.client_handshake,
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.server_handshake,
        b"CLIENT_TRAFFIC_SECRET_0" => |secrets| &mut secrets.client_traffic,
        // SERVER_TRAFFIC_SECRET_0 among them: what servers send is not read.
        _ => return Parsed::Ignored,
    };
    let mut number = [0; RANDOM_BYTES];
    let mut bytes = [0; SECRET_BYTES_MAX];
    let is_master = label == b"CLIENT_RANDOM";
    let (Some(RANDOM_BYTES), Some(len)) = (unhex(random, &mut number), unhex(secret, &mut bytes))
    else {
        return Parsed::Malformed;
    };
    // As long as a hash: SHA-256 or SHA-384 (RFC 8446 §7.1); the master secret always has 48 bytes (RFC 5246 §8.1).
    if !(len == 48 || len == 32 && !is_master) {
        return Parsed::Malformed;
    }
    let mut secrets = Secrets::default();
    *place(&mut secrets) = bytes.get(..len).and_then(Secret::of);
    Parsed::Secret(number, secrets)
}

/// How many bytes the digits stand for; `None` if they are none, or too many.
fn unhex(digits: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    if !rest.is_empty() || pairs.len() > bytes.len() {
        return None;
    }
    for (place, [high, low]) in bytes.iter_mut().zip(pairs) {
        *place = digit(*high)? << 4 | digit(*low)?;
    }
    Some(pairs.len())
}
