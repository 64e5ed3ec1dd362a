//! `orderflow sandbox`.

use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

pub async fn run(args: sandbox::Cli, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    sandbox::run(args, shutdown).await?;
    Ok(Exit::Ok)
}
