//! Builds the crate again when a file of the catalogue is added or removed; the compiler tracks only changed ones.

fn main() {
    println!("cargo::rerun-if-changed=../../nodes");
}
