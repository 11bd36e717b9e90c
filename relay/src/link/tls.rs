//! TLS for calls of `wss:` and `https:` addresses. Whom to trust is the system's to say, or `SSL_CERT_FILE`.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Read once: it takes a while, and files.
static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();

/// Agrees on TLS with a host that has to prove its name, or its address.
pub(crate) async fn connect(stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
    let config = CONFIG.get_or_try_init(config).await?;
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, stream).await
}

async fn config() -> io::Result<Arc<ClientConfig>> {
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let found = read.await.map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map(ToString::to_string);
        let reason = reason.unwrap_or_else(|| String::from("there are none"));
        let message = format!("no certificate authority to trust: {reason}");
        return Err(io::Error::other(message));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(Arc::new(
        config.with_root_certificates(roots).with_no_client_auth(),
    ))
}
