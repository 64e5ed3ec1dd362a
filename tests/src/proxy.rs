//! A TCP proxy between one process and its server, which can be cut off without either of them being told.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What is done with bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Everything passes.
    Open,
    /// No byte passes, in either direction, and no connection ends: a cable that was pulled. What is sent meanwhile arrives
    /// when the line is open again.
    Cut,
    /// Connections are dropped, and new ones end at once.
    Severed,
}

/// A proxy on a free port of the loopback interface. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    server: Arc<Mutex<String>>,
    line: watch::Sender<Line>,
    _stop: DropGuard,
}

impl Proxy {
    /// Starts one in front of `server`, `host:port`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (line, watched) = watch::channel(Line::Open);
        let (server, stop) = (Arc::new(Mutex::new(server.to_string())), CancellationToken::new());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, Arc::clone(&server), watched)));
        Self { address, server, line, _stop: stop.drop_guard() }
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The server listens somewhere else now; connections that are there stay as they are.
    pub fn move_to(&self, server: &str) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server.to_string();
    }

    /// Changes the line, for the connections that are there and for new ones.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn accept(listener: TcpListener, server: Arc<Mutex<String>>, line: watch::Receiver<Line>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (server, line) = (server.lock().unwrap_or_else(PoisonError::into_inner).clone(), line.clone());
        // Ends with the line's sender, which is the proxy.
        tokio::spawn(connect(client, server, line));
    }
}

async fn connect(client: TcpStream, server: String, mut line: watch::Receiver<Line>) {
    if !passes(&mut line).await {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    // One side that ends takes the other with it.
    tokio::select! {
        () = pump(client_in, server_out, line.clone()) => {}
        () = pump(server_in, client_out, line) => {}
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            // Also when the proxy is gone.
            _ = severed(&mut line) => return,
        };
        // What was read when the line was cut waits here, and everything behind it in the sockets.
        let Ok(count @ 1..) = read else {
            // The end of a connection does not pass a cut line either.
            passes(&mut line).await;
            return;
        };
        if !passes(&mut line).await || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Waits until bytes pass; `false` when the connection is to be dropped instead.
async fn passes(line: &mut watch::Receiver<Line>) -> bool {
    line.wait_for(|line| *line != Line::Cut).await.is_ok_and(|line| *line == Line::Open)
}

async fn severed(line: &mut watch::Receiver<Line>) {
    let _ = line.wait_for(|line| *line == Line::Severed).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A server that says everything back.
    async fn echo() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn said(stream: &mut TcpStream) -> Option<String> {
        let mut text = [0; 5];
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut text)).await;
        read.ok().map(|read| read.map(|_| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_cut_line_keeps_what_was_sent_and_a_severed_one_ends() {
        let proxy = Proxy::start(&echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.expect("connected");
        stream.write_all(b"first").await.expect("sent");
        assert_eq!(said(&mut stream).await.as_deref(), Some("first"));
        proxy.set(Line::Cut);
        stream.write_all(b"later").await.expect("sent");
        assert_eq!(said(&mut stream).await, None);
        proxy.set(Line::Open);
        assert_eq!(said(&mut stream).await.as_deref(), Some("later"));
        proxy.set(Line::Severed);
        assert_eq!(said(&mut stream).await.as_deref(), Some(""), "it has ended");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("accepted");
        assert_eq!(said(&mut stream).await.as_deref(), Some(""));
        proxy.set(Line::Open);
        let mut stream = TcpStream::connect(proxy.address()).await.expect("connected");
        stream.write_all(b"again").await.expect("sent");
        assert_eq!(said(&mut stream).await.as_deref(), Some("again"));
    }
}
