//! `orderflow`: the one binary people type.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    orderflow::main().await
}
