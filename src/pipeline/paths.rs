//! The tunnels of flows, each path kept once: there are few, and a flow has two bytes for its own.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::HashMap;

use crate::decode::TunnelPath;

/// Paths that a shard keeps: a network has some tens; more come from made-up packets only, and a handle has two bytes.
const PATHS_MAX: usize = 4096;

/// Distinct paths and their handles.
#[derive(Debug, Default)]
pub(super) struct PathPool {
    paths: Vec<TunnelPath>,
    handles: HashMap<TunnelPath, u16>,
}

impl PathPool {
    /// The handle of a path; `None` where there is no room for another.
    pub fn keep(&mut self, path: TunnelPath) -> Option<u16> {
        if let Some(handle) = self.handles.get(&path) {
            return Some(*handle);
        }
        if self.paths.len() >= PATHS_MAX {
            return None;
        }
        self.paths.push(path);
        let handle = u16::try_from(self.paths.len()).ok()?;
        self.handles.insert(path, handle);
        Some(handle)
    }

    /// The path behind a handle; none behind 0.
    #[inline]
    pub fn path(&self, handle: u16) -> TunnelPath {
        usize::from(handle)
            .checked_sub(1)
            .and_then(|at| self.paths.get(at))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::TunnelKind;

    #[test]
    fn paths_are_kept_once_and_no_more_than_there_is_room_for() {
        let mut pool = PathPool::default();
        assert_eq!(pool.path(0), TunnelPath::NONE);
        let mut refused = 0;
        for outer in TunnelKind::ALL {
            for middle in TunnelKind::ALL {
                for inner in TunnelKind::ALL {
                    let kinds = [outer, middle, inner];
                    let path = kinds
                        .iter()
                        .fold(TunnelPath::NONE, |path, kind| path.with(**kind).unwrap());
                    match pool.keep(path) {
                        Some(handle) => {
                            assert_eq!(pool.path(handle), path);
                            assert_eq!(pool.keep(path), Some(handle));
                        }
                        None => refused += 1,
                    }
                }
            }
        }
        assert_eq!(refused, TunnelKind::COUNT.pow(3) - PATHS_MAX);
    }
}
