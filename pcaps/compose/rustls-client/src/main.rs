//! Turns a bound source address, a server address and a name into one HTTP request over TLS,
//! whose `ClientHello` offers X25519MLKEM768 and is therefore larger than one TCP segment.
//!
//! `rustls-client BIND CONNECT NAME CA.pem < request > response`

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bind, connect, name, authority] = arguments.as_slice() else {
        return Err("usage: rustls-client BIND:PORT CONNECT:PORT NAME CA.pem < request".into());
    };
    let bind: SocketAddr = bind.parse()?;
    let connect: SocketAddr = connect.parse()?;

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from(name.clone())?)?;

    let socket = Socket::new(
        Domain::for_address(connect),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&bind.into())?;
    socket.connect(&connect.into())?;
    let mut stream = StreamOwned::new(session, TcpStream::from(socket));

    let mut request = Vec::new();
    io::stdin().read_to_end(&mut request)?;
    stream.write_all(&request)?;
    stream.flush()?;

    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    // A polite end: close_notify before the FIN, as clients do.
    stream.conn.send_close_notify();
    stream.flush()?;
    io::stdout().write_all(&response)?;
    Ok(())
}
