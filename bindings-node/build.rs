//! Tells the linker that Node.js has the symbols.

fn main() {
    napi_build::setup();
}
