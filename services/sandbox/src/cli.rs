//! The sandbox as a command.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::{Faults, Options, Orders, start};

/// A stand-in OKKI and 轻易云 in one server, which can misbehave on request.
#[derive(Debug, Clone, clap::Args)]
pub struct Cli {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8088")]
    pub listen: SocketAddr,
    /// Orders to serve: a .ndjson or .ndjson.gz file, one order a line.
    #[arg(long, value_name = "FILE", conflicts_with = "count")]
    pub orders: Option<PathBuf>,
    /// Number of orders to generate when no file is given.
    #[arg(long, default_value_t = 10_000)]
    pub count: u64,
    /// Seed of generated orders, of the choice of edited ones and of the faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Directory that keeps what happened on both sides, so that it survives a restart.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Faults to start with: a JSON file with source and/or target.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// List rows without lines, status and custom fields, as the real list has them.
    #[arg(long)]
    pub brief_rows: bool,
    /// Zone in which times without an offset are meant.
    #[arg(long, default_value = "Asia/Shanghai")]
    pub time_zone: String,
    /// Accepted client_id of the source and app_key of the target.
    #[arg(long, default_value = "demo")]
    pub client_id: String,
    /// Accepted client_secret of the source and app_secret of the target.
    #[arg(long, default_value = "demo-secret")]
    pub client_secret: String,
    /// Largest number of rows a page.
    #[arg(long, default_value_t = 500)]
    pub page_limit: u32,
}

/// Serves until the token is cancelled, then logs the report.
pub async fn run(cli: Cli, shutdown: CancellationToken) -> anyhow::Result<()> {
    let sandbox = start(options(cli)?, shutdown).await?;
    let url = sandbox.url();
    println!(
        "sandbox on {url}\n\
         report:        curl {url}/sandbox/report\n\
         faults:        curl {url}/sandbox/faults\n\
         change faults: curl -X PATCH {url}/sandbox/faults -d '{{\"target\":{{\"error_5xx\":0.1}}}}'\n\
         edit orders:   curl -X POST '{url}/sandbox/edit?n=10'   (also silent_edit, backdated_edit, insert, \
         insert_late, remove)"
    );
    let state = sandbox.state();
    sandbox.stopped().await;
    tracing::info!("report of the sandbox\n{}", state.report());
    Ok(())
}

fn options(cli: Cli) -> anyhow::Result<Options> {
    let faults = match &cli.faults {
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?
        }
        None => Faults::default(),
    };
    Ok(Options {
        listen: cli.listen,
        orders: cli.orders.map_or(Orders::Generated { count: cli.count }, Orders::File),
        data_dir: cli.data,
        faults,
        seed: cli.seed,
        time_zone: TimeZone::get(&cli.time_zone).with_context(|| format!("time zone {:?}", cli.time_zone))?,
        client_id: cli.client_id,
        client_secret: cli.client_secret,
        page_limit: cli.page_limit,
        brief_rows: cli.brief_rows,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        cli: Cli,
    }

    fn parse(arguments: &[&str]) -> anyhow::Result<Options> {
        options(Command::try_parse_from([&["sandbox"], arguments].concat())?.cli)
    }

    #[test]
    fn arguments_become_options() {
        let options = parse(&["--count", "5", "--seed", "9", "--brief-rows"]).unwrap();
        assert!(matches!(options.orders, Orders::Generated { count: 5 }) && options.brief_rows);
        assert_eq!((options.seed, options.listen.port(), options.page_limit), (9, 8088, 500));
        let options = parse(&["--orders", "x.ndjson"]).unwrap();
        assert!(matches!(options.orders, Orders::File(_)));
        assert!(parse(&["--orders", "x.ndjson", "--count", "5"]).is_err());
        assert!(parse(&["--faults", "/absent.json"]).unwrap_err().to_string().contains("/absent.json"));
    }

    #[tokio::test]
    async fn it_runs_until_it_is_told_to_stop() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let cli =
            Command::try_parse_from(["sandbox", "--listen", "127.0.0.1:0", "--count", "3"]).unwrap().cli;
        run(cli, shutdown).await.unwrap();
    }
}
