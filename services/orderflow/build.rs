//! Compiles again when a translation has changed: the macro that reads them does not tell Cargo.

fn main() {
    println!("cargo:rerun-if-changed=locales");
}
