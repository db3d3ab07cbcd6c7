//! Flows and questions → which hosts ask name services in a way that cannot be read.
//!
//! Of such a host it cannot be said that it never asked for a vendor's name.

use std::collections::HashSet;

use super::Host;

/// `TXT` (RFC 1035 §3.3.14).
const TXT: u16 = 16;
/// What the name of a resolver's certificate begins with: the client of DNSCrypt asks for it in clear before its first encrypted
/// question (DNSCrypt protocol version 2, "Certificates").
const CERTIFICATE: &[u8] = b"2.dnscrypt-cert.";

/// Hosts that were seen to use encrypted DNS.
#[derive(Clone, Debug)]
pub struct EncryptedDnsHosts {
    hosts: HashSet<Host>,
    hosts_max: usize,
    refused: u64,
}

impl EncryptedDnsHosts {
    /// Room for so many.
    pub fn new(hosts_max: usize) -> Self {
        Self {
            hosts: HashSet::new(),
            hosts_max: hosts_max.max(1),
            refused: 0,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.hosts.len() as u64
    }

    /// Flows and questions of hosts that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn seen(&mut self, host: Host) {
        if self.hosts.len() >= self.hosts_max && !self.hosts.contains(&host) {
            self.refused += 1;
            return;
        }
        self.hosts.insert(host);
    }
}

/// Whether a question is for the certificate of a DNSCrypt resolver.
pub(super) fn asks_for_dnscrypt(name: &[u8], query_type: u16) -> bool {
    query_type == TXT
        && name
            .get(..CERTIFICATE.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(CERTIFICATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_counted_once_and_no_more_than_there_is_room_for() {
        let mut hosts = EncryptedDnsHosts::new(2);
        for last in [1, 2, 1, 3, 2, 3] {
            hosts.seen((0, [last; 16], 0));
        }
        assert_eq!((hosts.count(), hosts.refused()), (2, 2));
    }

    #[test]
    fn the_question_for_a_certificate_is_known() {
        let name = b"2.DNScrypt-cert.opendns.com";
        assert!(asks_for_dnscrypt(name, TXT));
        assert!(!asks_for_dnscrypt(name, 1));
        assert!(!asks_for_dnscrypt(b"2.dnscrypt-cert", TXT));
        assert!(!asks_for_dnscrypt(b"www.example.org", TXT));
    }
}
