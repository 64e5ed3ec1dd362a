//! The program under test: the same as `orderflow`, where cargo tells the tests its path.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    orderflow::main().await
}
