// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links this package as a Prism image.
fn main() {
    prism_build::link();
}
