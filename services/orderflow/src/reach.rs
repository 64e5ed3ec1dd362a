//! The server with the streams of a flow: the one that the configuration names, that of an `up` that runs, or, while none
//! does, one that is started in its data folder for as long as a command takes.

use std::path::Path;

use journal::LocalServer;
use service::Config;

use crate::stages::use_local;
use crate::status::with_server;
use crate::up;

/// Does some work with a configuration whose server can be reached, and leaves the server as it was found.
pub async fn with_reached<T>(
    mut config: Config,
    data: &Path,
    work: impl AsyncFnOnce(&Config) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // Its own server ends with `up`. Its folder stays locked: nobody else starts or stops the server meanwhile.
    let Some(home) = config.nats.url.is_none().then(|| up::resting(data)).flatten() else {
        return Box::pin(work(&with_server(config, data)?)).await;
    };
    let server = LocalServer::start(&journal::find_server().await?, &home.nats()).await?;
    use_local(&mut config, server.url().to_string(), server.identity());
    let result = Box::pin(work(&config)).await;
    server.stop().await;
    result
}
