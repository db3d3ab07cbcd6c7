//! Ordered events → JSON Lines shaped like Suricata's EVE; and the names that `avscope names` lists; alerts, and the snapshot of what is known from before.
//!
//! **Invariants**: one event, one line; field names and types are a contract (`docs/EVENTS.md`); bytes of a name that are not
//! printable are written as `\xNN`, so that a line is always valid JSON and a name never forges one; where identifiers are not wanted, they are taken out after rules have judged.

mod alerts;
mod canary_file;
mod community_id;
mod dns;
mod events;
mod host;
mod line;
mod mark;
mod names;
mod packets;
mod state_file;
mod tls;
mod whole_file;
mod words;

pub use alerts::AlertWriter;
pub use canary_file::{CanaryFileError, add_canary, load_canaries};
pub use community_id::community_id;
pub use events::{EventWriter, SCHEMA_VERSION};
pub use names::{NameRow, Names};
pub use packets::PacketWriter;
pub use state_file::{StateFileError, load_state, save_state};
pub use whole_file::write_whole;
