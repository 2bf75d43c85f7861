//! Photographs that were never taken: a sky, a sun, ridges behind ridges, and water.

use crate::input::Dice;
use image::{Rgb, RgbImage};
use std::f32::consts::TAU;

type Colour = [f32; 3];

/// Top of the sky, horizon, and the nearest ridge, by the hour of the day.
const HOURS: [(Colour, Colour, Colour); 4] = [
    ([70.0, 130.0, 205.0], [215.0, 230.0, 240.0], [28.0, 62.0, 46.0]),
    ([52.0, 62.0, 122.0], [250.0, 178.0, 110.0], [40.0, 30.0, 54.0]),
    ([120.0, 150.0, 190.0], [245.0, 222.0, 205.0], [58.0, 72.0, 60.0]),
    ([24.0, 32.0, 74.0], [205.0, 112.0, 120.0], [18.0, 22.0, 40.0]),
];

/// A mountain ridge: its height at each column, and its colour.
struct Ridge {
    heights: Vec<f32>,
    colour: Colour,
}

/// Paints a landscape; the seed decides the hour, the sun and the mountains.
pub(crate) fn landscape((width, height): (u32, u32), seed: u32) -> RgbImage {
    let mut dice = Dice::new(u64::from(seed));
    let (sky, horizon, near) = HOURS[seed as usize % HOURS.len()];
    let (w, h) = (width as f32, height as f32);
    let sun = (w * (0.2 + 0.6 * dice.unit()), h * (0.18 + 0.2 * dice.unit()), h * 0.05);
    let shore = h * 0.78;
    let ridges: Vec<Ridge> = (0..5u8)
        .map(|layer| {
            let depth = f32::from(layer) / 4.0;
            let base = h * (0.42 + 0.3 * depth);
            Ridge {
                heights: ridge(width, base, h * (0.16 - 0.07 * depth), &mut dice),
                colour: mix(horizon, near, 0.25 + 0.75 * depth),
            }
        })
        .collect();
    let above = |x: u32, y: f32| {
        let far = mix(sky, horizon, (y / (h * 0.6)).min(1.0));
        let glow = light(sun, x as f32, y);
        let mut colour = mix(far, [255.0, 244.0, 214.0], glow);
        for ridge in &ridges {
            let top = ridge.heights[x as usize];
            if y >= top {
                // Haze gathers in the valleys.
                colour = mix(ridge.colour, horizon, ((y - top) / h * 1.6).min(0.45));
            }
        }
        colour
    };
    RgbImage::from_fn(width, height, |x, y| {
        let y = y as f32;
        let colour = if y < shore {
            above(x, y)
        } else {
            let wave = ((y * y / h * 0.9).sin() + dice.unit()) * (y - shore) * 0.02;
            let mirrored = (shore - (y - shore) * 1.6 + wave).max(0.0);
            mix(above(x, mirrored), near, 0.25 + 0.35 * (y - shore) / (h - shore))
        };
        let grain = (dice.unit() - 0.5) * 14.0;
        Rgb(colour.map(|channel| byte(channel + grain)))
    })
}

/// The height of a ridge at each column: waves upon waves, each half as high as the last.
fn ridge(width: u32, base: f32, rise: f32, dice: &mut Dice) -> Vec<f32> {
    let octaves: Vec<(f32, f32, f32)> = (0..7u8)
        .map(|octave| {
            let scale = f32::from(1u16 << octave);
            (scale * (0.8 + 0.6 * dice.unit()), dice.unit() * TAU, rise / scale.powf(0.95))
        })
        .collect();
    (0..width)
        .map(|x| {
            let place = x as f32 / width as f32 * TAU;
            let sum: f32 = octaves
                .iter()
                .map(|(scale, phase, high)| (place * scale + phase).sin() * high)
                .sum();
            base - sum
        })
        .collect()
}

/// How bright the sun makes a point, from 0 to 1.
fn light((sun_x, sun_y, radius): (f32, f32, f32), x: f32, y: f32) -> f32 {
    let distance = (x - sun_x).hypot(y - sun_y) / radius;
    if distance < 1.0 { 1.0 } else { (0.75 / distance.powf(1.2)).min(0.75) }
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value has been clamped to a byte's range"
)]
fn byte(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}
