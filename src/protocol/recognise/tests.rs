//! First payloads and what they are; payloads as protocols define them, or of captures of real programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;

use super::*;
use crate::model::AppProtocol as P;

/// Zeros to this length, behind what is given.
fn padded(head: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.resize(len, 0);
    bytes
}

fn tcp(source: u16, destination: u16, payload: &[u8]) -> Option<P> {
    recognise(Transport::Tcp, source, destination, payload)
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Option<P> {
    recognise(Transport::Udp, source, destination, payload)
}

#[test]
fn streams_by_their_mark_on_any_port() {
    let cases: &[(&[u8], P)] = &[
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", P::Tls),
        (b"\x17\x03\x03\x00\x36\0\0", P::Tls),
        (b"\x15\x03\x01\x00\x02\x02\x28", P::Tls),
        (b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x01", P::Tls),
        (b"GET / HTTP/1.1\r\n", P::Http),
        (b"POST /a", P::Http),
        (b"HTTP/1.1 200 OK\r\n", P::Http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", P::Http2),
        (b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", P::Http2),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", P::Ssh),
        (b"220 mail.example ESMTP Postfix\r\n", P::Smtp),
        (b"EHLO client.example\r\n", P::Smtp),
        (b"220 ProFTPD Server ready\r\n", P::Ftp),
        (b"+OK POP3 ready\r\n", P::Pop3),
        (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", P::Imap),
        (b"a1 CAPABILITY\r\n", P::Imap),
        (b"200 news.example NNTP ready\r\n", P::Nntp),
        (b"NICK someone\r\n", P::Irc),
        (
            b"<?xml version='1.0'?><stream:stream to='a.example'",
            P::Xmpp,
        ),
        (b"OPTIONS rtsp://a.example/ RTSP/1.0\r\n", P::Rtsp),
        (b"INVITE sip:b@a.example SIP/2.0\r\n", P::Sip),
        (b"\x13BitTorrent protocol", P::Bittorrent),
        (b"RFB 003.008\n", P::Vnc),
        (b"@RSYNCD: 31.0\n", P::Rsync),
        (b"0032git-upload-pack /a.git\0host=a.example\0", P::Git),
        (b"AMQP\0\0\x09\x01", P::Amqp),
        (b"*1\r\n$4\r\nPING\r\n", P::Redis),
        (b"<34>Oct 11 22:14:15 host su: failed\n", P::Syslog),
        (b"{\"id\": 1, \"method\": \"login\"}\n", P::Json),
        (b"\0\0\0\x45\xffSMBr", P::Smb),
        (b"\0\0\0\x45\xfeSMB@", P::Smb),
        (b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03abc", P::Mqtt),
        (b"\x20\x02\0\0", P::Mqtt),
        (b"\x05\x01\0", P::Socks),
        (b"\x05\0", P::Socks),
        (b"\x04\x01\x01\xbb\xc0\0\x02\x01user\0", P::Socks),
        (b"\0\x5a\0\0\0\0\0\0", P::Socks),
        (b"\xff\xfd\x03\xff\xfb\x18", P::Telnet),
        (
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
            P::Rdp,
        ),
        (
            b"\x03\0\0\x2f\x2a\xe0\0\0\0\0\0Cookie: mstshash=user\r\n",
            P::Rdp,
        ),
        (
            b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc0\x01\x0a\xc1\x02\x01\0\xc2\x02\x01\x02",
            P::Tpkt,
        ),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", P::Postgres),
        (b"\0\0\0\x13\0\x03\0\0user\0pg\0\0", P::Postgres),
        (b"\x68\x04\x07\0\0\0", P::Iec104),
        (b"\x05\x64\x05\xc0\x01\0\0\x04\xe9\x21", P::Dnp3),
        (
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
            P::Ldap,
        ),
        (
            b"\0\0\0\x0e\x6a\x0c\x30\x0a\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a",
            P::Kerberos,
        ),
        (b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0\x01\0\0\0", P::Dcerpc),
    ];
    for (payload, expected) in cases {
        for (source, destination) in [(40_000, 50_000), (50_000, 40_000)] {
            assert_eq!(
                tcp(source, destination, payload),
                Some(*expected),
                "{}",
                payload.escape_ascii()
            );
        }
    }
    let bgp = [&[0xff; 16][..], &[0, 29, 1, 4]].concat();
    assert_eq!(tcp(40_000, 179, &bgp), Some(P::Bgp));
    let greeting = [&[12, 0, 0, 0, 10][..], b"8.0.36\0", &[0; 4]].concat();
    assert_eq!(tcp(3306, 40_000, &greeting), Some(P::Mysql));
    let diameter = padded(&[1, 0, 0, 20, 0x80, 0, 1, 1], 20);
    assert_eq!(tcp(40_000, 3868, &diameter), Some(P::Diameter));
    let call = padded(
        &[
            0x80, 0, 0, 40, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa3,
        ],
        44,
    );
    assert_eq!(tcp(40_000, 2049, &call), Some(P::Rpc));
}

#[test]
fn datagrams_by_their_mark_on_any_port() {
    let cookie = [0x63, 0x82, 0x53, 0x63];
    let dhcp = [&padded(&[1, 1, 6, 0], 236)[..], &cookie].concat();
    let teredo = {
        let mut packet = padded(&[0x60, 0, 0, 0, 0, 0, 0x3b, 21], 40);
        packet[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
        packet
    };
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
    let cases: &[(&[u8], P)] = &[
        (query, P::Dns),
        (
            b"\0\x01\0\0\x21\x12\xa4\x42\0\0\0\0\0\0\0\0\0\0\0\0",
            P::Stun,
        ),
        (b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x10", P::Dtls),
        (b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x10", P::Dtls),
        (b"\xc3\0\0\0\x01\x08abcdefgh\0\0", P::Quic),
        (b"\xd3\x6b\x33\x43\xcf\x08abcdefgh\0\0", P::Quic),
        (b"\xcf\xff\0\0\x1d\x08abcdefgh\0\0", P::Quic),
        (b"\xcf\xfa\xce\xb0\x02\x08abcdefgh\0\0", P::Quic),
        (b"\xc3Q050\x08abcdefgh\0\0", P::Quic),
        (b"\x80\0\0\0\0\x08abcdefgh\0\0\0\0\x01", P::Quic),
        (b"\xc0\x1a\x2a\x3a\x4a\x08abcdefgh\0\0", P::Quic),
        (b"\x0dabcdefghQ043\x01", P::Quic),
        (&dhcp, P::Dhcp),
        (
            b"\x30\x18\x02\x01\x01\x04\x06public\xa0\x0b\x02\x01",
            P::Snmp,
        ),
        (b"\x30\x3e\x02\x01\x03\x30\x11\x02\x04", P::Snmp),
        (&padded(&[1, 0, 0, 0, 7], 148), P::Wireguard),
        (&padded(&[2, 0, 0, 0, 7], 92), P::Wireguard),
        (b"\0\x01file.bin\0octet\0", P::Tftp),
        (
            b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x01\x02\x03\x04",
            P::Bittorrent,
        ),
        (
            b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe",
            P::Bittorrent,
        ),
        (
            b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n",
            P::Ssdp,
        ),
        (b"NOTIFY * HTTP/1.1\r\n", P::Ssdp),
        (b"REGISTER sip:a.example SIP/2.0\r\n", P::Sip),
        (b"SIP/2.0 200 OK\r\n", P::Sip),
        (
            b"<165>1 2003-10-11T22:14:15Z a.example app - - -",
            P::Syslog,
        ),
        (&padded(&[0, 10, 0, 40], 40), P::Netflow),
        (&teredo, P::Teredo),
        (b"SpotUdp0\x01\0", P::Spotify),
        (b"\x81\xc8\0\x01aaaa", P::Rtcp),
    ];
    for (payload, expected) in cases {
        assert_eq!(
            udp(40_000, 50_000, payload),
            Some(*expected),
            "{}",
            payload.escape_ascii()
        );
    }
}

#[test]
fn ports_count_only_where_the_shape_agrees() {
    let client = 50_000;
    let is_by_port = |port: u16, payload: &[u8], expected: P| {
        assert_eq!(udp(client, port, payload), Some(expected), "{port}");
        assert_eq!(udp(port, client, payload), Some(expected), "{port}");
        let elsewhere = udp(client, 40_001, payload);
        assert_ne!(
            elsewhere,
            Some(expected),
            "{port}: the port decides nothing"
        );
        let noise = [0xfe; 7];
        assert_eq!(udp(client, port, &noise), None, "{port}: noise");
    };
    is_by_port(123, &padded(&[0x23], 48), P::Ntp);
    is_by_port(546, &[1, 0x10, 0x20, 0x30, 0, 1], P::Dhcpv6);
    is_by_port(
        1812,
        &padded(&[1, 5, 0, 22], 22)
            .iter()
            .enumerate()
            .map(|(at, byte)| if at == 21 { 2 } else { *byte })
            .collect::<Vec<_>>(),
        P::Radius,
    );
    is_by_port(138, &padded(&[0x11, 2], 60), P::NetbiosDgm);
    is_by_port(
        500,
        &padded(
            &[
                9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 34, 8, 0, 0, 0, 0, 0, 0,
                1, 0,
            ],
            256,
        ),
        P::Ike,
    );
    is_by_port(4500, &[0xab; 60], P::EspInUdp);
    is_by_port(4789, &padded(&[8, 0, 0, 0, 0, 0, 7, 0], 60), P::Vxlan);
    is_by_port(6081, &padded(&[0, 0, 0x65, 0x58], 60), P::Geneve);
    is_by_port(2152, &padded(&[0x30, 0xff, 0, 40], 48), P::Gtp);
    is_by_port(1701, &padded(&[0xc8, 2, 0, 20], 20), P::L2tp);
    is_by_port(5246, &padded(&[0, 0x10, 2], 40), P::Capwap);
    is_by_port(443, &[0x4b; 40], P::Quic);
    assert_eq!(tcp(50_000, 139, b"\x81\0\0\x44 EL"), Some(P::NetbiosSsn));
    assert_eq!(tcp(445, 50_000, &[0, 0, 0, 0xca]), Some(P::Smb));
    assert_eq!(
        tcp(50_000, 502, &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1]),
        Some(P::Modbus)
    );
    assert_eq!(
        tcp(50_000, 501, &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1]),
        None
    );
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    assert_eq!(udp(5353, 5353, query), Some(P::Mdns));
    assert_eq!(udp(50_000, 5355, query), Some(P::Llmnr));
    assert_eq!(udp(137, 137, query), Some(P::Nbns));
    let stream = [&[0, query.len() as u8][..], query].concat();
    assert_eq!(tcp(50_000, 53, &stream), Some(P::Dns));
}

#[test]
fn a_port_alone_makes_nothing_of_what_is_unknown() {
    let noise = [
        0xd9, 0x7a, 0x3e, 0xc4, 0x8f, 0x91, 0xe6, 0xb2, 0xaf, 0xd1, 0xfb, 0x9c, 0xee, 0x87, 0xf1,
        0xb6, 0xe9, 0xc5, 0x9a, 0xdd, 0xf7, 0x83,
    ];
    for port in [
        21, 22, 25, 53, 80, 110, 143, 389, 443, 445, 3306, 3389, 5432, 8080,
    ] {
        assert_eq!(tcp(50_000, port, &noise), None, "{port}");
    }
    for port in [53, 67, 80, 123, 137, 161, 500, 514, 1812, 5353] {
        assert_eq!(udp(50_000, port, &noise), None, "{port}");
    }
    assert_eq!(tcp(50_000, 443, &[]), None);
    assert_eq!(udp(50_000, 53, &[]), None);
    assert_eq!(tcp(50_000, 80, b"hello"), None);
    assert_eq!(tcp(50_000, 443, &[0; 6]), None, "padding of Ethernet");
}

#[test]
fn every_protocol_says_what_it_carries() {
    use crate::model::Carries;
    assert_eq!(P::Tls.carries(), Carries::Names);
    assert_eq!(P::Ntp.carries(), Carries::Nothing);
    assert_eq!(P::Wireguard.carries(), Carries::Packets);
    assert_eq!(P::Ssh.carries(), Carries::Encrypted);
}

/// What the fuzz targets begin with; each is also tried with every byte changed.
#[test]
fn the_seeds_of_fuzzing_and_their_neighbours_are_survived() {
    let seeds = |target: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect::<Vec<_>>()
    };
    let mut tried = 0;
    let mut vary = |bytes: &[u8], check: &mut dyn FnMut(&[u8], usize)| {
        let mut changed = bytes.to_vec();
        for at in 0..bytes.len() {
            check(&bytes[..at], at / 2);
            for flip in [0x01, 0x40, 0xff] {
                changed[at] ^= flip;
                check(&changed, at);
                changed[at] ^= flip;
            }
            tried += 1;
        }
    };
    for seed in seeds("dns") {
        vary(&seed[8..], &mut super::super::dns::fuzz_message);
    }
    for seed in seeds("http1") {
        vary(&seed[8..], &mut super::super::http1::fuzz_requests);
    }
    for seed in seeds("recognise") {
        let ports = |at: usize| u16::from_le_bytes([seed[at], seed[at + 1]]);
        vary(&seed[5..], &mut |bytes, _| {
            fuzz_recognise(seed[0], ports(1), ports(3), bytes);
        });
    }
    assert!(tried > 1000);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        transport in any::<u8>(),
        ports in any::<(u16, u16)>(),
        known in prop::sample::select(vec![53u16, 80, 88, 123, 137, 389, 443, 500, 1521, 3306, 4500, 5353, 6000]),
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        fuzz_recognise(transport, ports.0, ports.1, &bytes);
        fuzz_recognise(transport, ports.0, known, &bytes);
    }
}
