//! The files that the demo works on: made here, deterministic, and like what users bring.

use crate::output::{directory, write_whole};
use crate::{Result, photo};
use chrono::NaiveDate;
use std::fmt::Write as _;
use std::io::Write as _;

/// Albums and what each is called.
const ALBUMS: [&str; 3] = ["coast", "hills", "lakes"];

/// Documents: a title, and what is counted in it.
const DOCUMENTS: [(&str, &str); 6] = [
    ("Harbour traffic", "vessels"),
    ("Library loans", "books"),
    ("Mountain railway", "passengers"),
    ("Bakery orders", "loaves"),
    ("Rainfall", "millimetres"),
    ("Night buses", "tickets"),
];

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Photographs in each album.
    pub(crate) photographs: u32,
    /// Width and height of a photograph.
    pub(crate) pixels: (u32, u32),
    /// Documents to be made into reports.
    pub(crate) documents: usize,
    /// Log files to be backed up.
    pub(crate) logs: u32,
    /// Lines in each of them.
    pub(crate) lines: u32,
}

impl Size {
    /// What `make demo` does.
    pub(crate) const FULL: Self =
        Self { photographs: 4, pixels: (3000, 2000), documents: 6, logs: 4, lines: 60_000 };
    /// Enough to see everything once, also in a debug build.
    pub(crate) const QUICK: Self =
        Self { photographs: 3, pixels: (600, 400), documents: 2, logs: 2, lines: 2_000 };

    /// How many albums there are.
    pub(crate) const fn albums() -> usize {
        ALBUMS.len()
    }

    /// How many photographs there are in all.
    pub(crate) fn all_photographs(self) -> usize {
        ALBUMS.len() * self.photographs as usize
    }
}

/// Numbers that look random and are the same in every run.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice that fall alike for the same seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number below `limit`.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 16) % u64::from(limit.max(1))).unwrap_or(0)
    }

    /// The next number from 0 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32
    }
}

/// Makes all input files. Answers how many bytes they have.
pub(crate) fn make(size: Size) -> Result<u64> {
    let photographs = std::thread::spawn(move || make_photographs(size, 0));
    let others = make_photographs(size, 1)? + make_documents(size)? + make_logs(size)?;
    let photographs = photographs.join().map_err(|_| "making photographs panicked")??;
    Ok(photographs + others)
}

/// Makes every second photograph, so that two threads share the work.
fn make_photographs(size: Size, share: u32) -> Result<u64> {
    let mut bytes = 0;
    for (place, album) in (0u32..).zip(ALBUMS) {
        for number in 1..=size.photographs {
            let seed = place * size.photographs + number;
            if seed % 2 != share {
                continue;
            }
            let path = directory("input").join(album).join(format!("{album}-{number}.jpg"));
            let image = photo::landscape(size.pixels, seed);
            bytes += write_whole(&path, |file| {
                let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(file, 90);
                Ok(image.write_with_encoder(encoder)?)
            })?;
        }
    }
    Ok(bytes)
}

fn make_documents(size: Size) -> Result<u64> {
    let mut bytes = 0;
    for (seed, (title, unit)) in (1u64..).zip(DOCUMENTS).take(size.documents) {
        let name = title.to_lowercase().replace(' ', "-");
        let path = directory("input").join("documents").join(format!("{name}.md"));
        let text = document(title, unit, seed);
        bytes += write_whole(&path, |file| Ok(file.write_all(text.as_bytes())?))?;
    }
    Ok(bytes)
}

/// A report in Markdown: a heading, prose, and a table with a row per day.
fn document(title: &str, unit: &str, seed: u64) -> String {
    const PLACES: [&str; 5] = ["North", "East", "South", "West", "Centre"];
    let mut dice = Dice::new(seed);
    let mut rows = String::new();
    let (mut total, mut best) = (0, (0, String::new()));
    for day in 1..=90u32 {
        let date = NaiveDate::from_yo_opt(2026, day).unwrap_or_default().to_string();
        let count = 400 + dice.below(900) + day * 3;
        let share = 40 + dice.below(60);
        let place = PLACES[dice.below(5) as usize];
        total += count;
        if count > best.0 {
            best = (count, date.clone());
        }
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "| {date} | {place} | {count} | {share} % |");
    }
    format!(
        "# {title}\n\nThis report covers the first ninety days of the year. In all, {total} {unit} \
         were counted, {} a day on average. The best day was {} with {} {unit}.\n\nFigures were \
         collected at five places and checked twice. A place that did not report on a day is left \
         out of that day's row; the share says how much of the expected number was reached.\n\n\
         ## Day by day\n\n| Day | Place | Number of {unit} | Share |\n|---|---|---|---|\n{rows}",
        total / 90,
        best.1,
        best.0,
    )
}

fn make_logs(size: Size) -> Result<u64> {
    let mut bytes = 0;
    for number in 1..=size.logs {
        let path = directory("input").join("logs").join(format!("web-{number}.log"));
        bytes += write_whole(&path, |file| {
            let mut dice = Dice::new(u64::from(number) + 100);
            for line in 0..size.lines {
                let (minute, second) = (line / 60 % 60, line % 60);
                let status = [200, 200, 200, 304, 404, 500][dice.below(6) as usize];
                writeln!(
                    file,
                    "2026-03-{number:02}T{:02}:{minute:02}:{second:02}Z 192.0.2.{} \"GET \
                     /albums/{}/{}.jpg\" {status} {} bytes {} ms",
                    line / 3600 % 24,
                    dice.below(255),
                    ALBUMS[dice.below(3) as usize],
                    dice.below(10_000),
                    dice.below(900_000),
                    1 + dice.below(400),
                )?;
            }
            Ok(())
        })?;
    }
    Ok(bytes)
}
