// SPDX-License-Identifier: MIT OR Apache-2.0
//! Draws an SVG picture as a PNG one, twice as large: `prism-png IN.svg OUT.png`.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// For screens with many dots.
const SCALE: f32 = 2.0;

/// Fonts for `sans-serif`, the first one that there is.
const FONTS: [&str; 3] = ["DejaVu Sans", "Liberation Sans", "Noto Sans"];

fn main() -> Result<()> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [from, to] = paths.as_slice() else { bail!("usage: prism-png IN.svg OUT.png") };
    let picture = fs::read(from).with_context(|| format!("cannot read {from}"))?;
    draw(&picture, Path::new(to))
}

fn draw(picture: &[u8], to: &Path) -> Result<()> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_system_fonts();
    let names: Vec<String> =
        fonts.faces().flat_map(|face| face.families.iter().map(|(name, _)| name.clone())).collect();
    let font = FONTS.into_iter().find(|font| names.iter().any(|name| name == font));
    fonts.set_sans_serif_family(
        font.context("there is no font to write with: apt-get install fonts-dejavu-core")?,
    );
    let tree = Tree::from_data(picture, &options).context("this is no picture")?;
    let size = tree.size().to_int_size().scale_by(SCALE).context("the picture has no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("the picture is too large")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    ensure!(pixels.pixels().iter().any(|pixel| *pixel != pixels.pixels()[0]), "the picture is empty");
    pixels.save_png(to).with_context(|| format!("cannot write {}", to.display()))
}
