//! What is made of a host beyond what it says of itself: the words of it.

use super::closed_set;

closed_set! {
    /// For whom a host speaks.
    pub enum HostRole {
        /// For itself, as far as was seen.
        Endpoint = "endpoint",
        /// It answers questions of other hosts for names, and asks on.
        Resolver = "resolver",
        /// Other hosts ask it to connect or to fetch for them.
        Proxy = "proxy",
        /// Several hosts stand behind its address.
        Nat = "nat",
        /// Other hosts' products of one vendor speak to the vendor through it.
        VendorRelay = "vendor_relay",
    }
}

closed_set! {
    /// Why an address counts as another host from some moment on.
    pub enum TenancyCause {
        /// The first host that was seen with the address.
        First = "first",
        /// A DHCP server gave the address to another client.
        Dhcp = "dhcp",
        /// Another station of the segment uses the address.
        Link = "link",
    }
}

closed_set! {
    /// A sign that several hosts stand behind one address.
    pub enum NatSign {
        /// Packets with times to live of several systems, or decremented ones on the segment itself.
        HopLimit = "hop_limit",
        /// Programs of several operating systems.
        System = "system",
        /// Products of several vendors that are hardly on one host.
        Products = "products",
    }
}

closed_set! {
    /// Operating systems as far as a User-Agent or a DHCP client tells them.
    pub enum SystemFamily {
        /// Windows.
        Windows = "windows",
        /// macOS, iOS and their kin.
        Apple = "apple",
        /// Android.
        Android = "android",
        /// Any other Linux.
        Linux = "linux",
    }
}

impl SystemFamily {
    /// What a User-Agent or a DHCP vendor class says of the system, where it says it plainly.
    pub fn told_by(text: &[u8]) -> Option<Self> {
        let holds = |word: &[u8]| {
            text.windows(word.len())
                .any(|at| at.eq_ignore_ascii_case(word))
        };
        // Android names Linux too, and several systems of Apple "like Mac OS X": the narrower word first.
        if holds(b"android") {
            return Some(Self::Android);
        }
        if holds(b"windows nt") || holds(b"msft ") || holds(b"microsoft-cryptoapi") {
            return Some(Self::Windows);
        }
        if [
            &b"mac os x"[..],
            b"darwin/",
            b"cfnetwork",
            b"iphone",
            b"ipad",
        ]
        .iter()
        .any(|word| holds(word))
        {
            return Some(Self::Apple);
        }
        (holds(b"linux") || holds(b"udhcp")).then_some(Self::Linux)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_told_by_their_own_words_alone() {
        for (text, family) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)",
                Some(SystemFamily::Windows),
            ),
            ("MSFT 5.0", Some(SystemFamily::Windows)),
            ("Microsoft-CryptoAPI/10.0", Some(SystemFamily::Windows)),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8)",
                Some(SystemFamily::Android),
            ),
            ("android-dhcp-14", Some(SystemFamily::Android)),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)",
                Some(SystemFamily::Apple),
            ),
            (
                "com.apple.trustd/2.0 CFNetwork/1240.0.4 Darwin/20.6.0",
                Some(SystemFamily::Apple),
            ),
            (
                "ClamAV/0.103.2 (OS: linux-gnu, ARCH: x86_64, CPU: x86_64)",
                Some(SystemFamily::Linux),
            ),
            ("udhcp 1.35.0", Some(SystemFamily::Linux)),
            ("curl/7.88.1", None),
            ("", None),
        ] {
            assert_eq!(SystemFamily::told_by(text.as_bytes()), family, "{text}");
        }
    }
}
