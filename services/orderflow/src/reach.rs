//! The server with the streams of a flow: the one that the configuration names, that of an `up` that runs, or, while none
//! does, one that is started in its data folder for as long as a command takes.

use std::path::Path;

use journal::LocalServer;
use service::Config;

use crate::status::with_server;
use crate::up::{self, Home};

/// A configuration whose server can be reached.
pub struct Reached {
    /// With the address of the server.
    pub config: Config,
    /// With the lock of its folder: nobody else starts or stops it meanwhile.
    server: Option<(LocalServer, Home)>,
}

impl Reached {
    /// Finds the server, or starts the resting one.
    pub async fn new(mut config: Config, data: &Path) -> anyhow::Result<Self> {
        // Its own server ends with `up`.
        let Some(home) = config.nats.url.is_none().then(|| up::resting(data)).flatten() else {
            return Ok(Self { config: with_server(config, data)?, server: None });
        };
        let server = LocalServer::start(&journal::find_server().await?, &home.nats()).await?;
        config.nats.url = Some(server.url().to_string());
        Ok(Self { config, server: Some((server, home)) })
    }

    /// Leaves it as it was found.
    pub async fn leave(self) {
        if let Some((server, _lock)) = self.server {
            server.stop().await;
        }
    }
}
