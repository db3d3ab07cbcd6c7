//! The methods that begin a request.

/// RFC 9110 §9.3 and RFC 5789; WebDAV with versioning, access control, search and calendars (RFC 4918, 3253, 3744, 5323, 5842,
/// 4791); UPnP eventing, which is HTTP over TCP, other than `M-SEARCH` (UPnP Device Architecture 2.0 §4.1); RPC over HTTP
/// (MS-RPCH), BITS upload (MS-BPAU) and the clients of Configuration Manager; caches.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"CONNECT",
    b"OPTIONS",
    b"DELETE",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"ACL",
    b"CHECKIN",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"VERSION-CONTROL",
    b"BASELINE-CONTROL",
    b"MKACTIVITY",
    b"MKWORKSPACE",
    b"MKCALENDAR",
    b"UPDATE",
    b"LABEL",
    b"MERGE",
    b"BIND",
    b"UNBIND",
    b"REBIND",
    b"ORDERPATCH",
    b"LINK",
    b"UNLINK",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"NOTIFY",
    b"POLL",
    b"BPROPFIND",
    b"BPROPPATCH",
    b"BCOPY",
    b"BMOVE",
    b"BDELETE",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"RPC_CONNECT",
    b"BITS_POST",
    b"CCM_POST",
    b"SMS_POST",
    b"RDG_IN_DATA",
    b"RDG_OUT_DATA",
    b"PURGE",
    b"BAN",
];
/// `BASELINE-CONTROL`.
const METHOD_LEN_MAX: usize = 16;
/// Schemes of the protocols that share methods with HTTP (RFC 7826, RFC 3261).
const FOREIGN_SCHEMES: [&[u8]; 5] = [b"rtsp:", b"rtsps:", b"rtspu:", b"sip:", b"sips:"];

/// What stands behind the method and its space, if that method is known.
#[inline]
pub(super) fn skip(line: &[u8]) -> Option<&[u8]> {
    let len = line
        .iter()
        .take(METHOD_LEN_MAX.saturating_add(1))
        .position(|byte| *byte == b' ')?;
    let (method, rest) = line.split_at_checked(len)?;
    METHODS
        .contains(&method)
        .then(|| rest.get(1..).unwrap_or_default())
}

/// Whether the bytes are the beginning of a known method.
pub(super) fn begins(line: &[u8]) -> bool {
    METHODS.iter().any(|method| method.starts_with(line))
}

/// Whether a target is one of a protocol that shares methods with HTTP.
pub(super) fn foreign_target(target: &[u8]) -> bool {
    FOREIGN_SCHEMES.iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    })
}
