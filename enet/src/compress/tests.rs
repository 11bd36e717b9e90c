//! What libenet 1.3.17 makes of the same bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::RangeCoder;

/// Which input, how long it is, how long that is compressed, and the CRC32 of this.
const BY_LIBENET: [(u32, usize, usize, u32); 30] = [
    (0, 1, 4, 0x65BC_08F9),
    (0, 5, 7, 0xF9E2_6C90),
    (0, 40, 44, 0x9D3E_2A2A),
    (0, 300, 310, 0x73FF_508C),
    (0, 1300, 454, 0x926A_03A4),
    (0, 4000, 594, 0xB160_E050),
    (1, 1, 4, 0xB2DE_047C),
    (1, 5, 4, 0x28DA_119D),
    (1, 40, 7, 0x0E15_1C60),
    (1, 300, 8, 0xC9B8_7BD5),
    (1, 1300, 9, 0x24E3_D9B8),
    (1, 4000, 11, 0xDB20_FDD3),
    (2, 1, 4, 0x79CE_5AE9),
    (2, 5, 7, 0x6D85_76F0),
    (2, 40, 43, 0x2A78_D629),
    (2, 300, 324, 0x0C34_C79B),
    (2, 1300, 1408, 0x7D69_2950),
    (2, 4000, 4307, 0xC431_1DEE),
    (3, 1, 4, 0x5411_4187),
    (3, 5, 7, 0x0E98_91FA),
    (3, 40, 32, 0x85AD_46EE),
    (3, 300, 169, 0xF161_12E7),
    (3, 1300, 658, 0x04F4_65D3),
    (3, 4000, 1786, 0x4849_E399),
    (4, 1, 4, 0xBF7B_7F11),
    (4, 5, 7, 0x48BE_B0F5),
    (4, 40, 34, 0x2060_03DC),
    (4, 300, 220, 0xC225_19B6),
    (4, 1300, 900, 0xD929_241B),
    (4, 4000, 2664, 0xC18C_3D28),
];

#[test]
fn what_is_compressed_is_what_libenet_makes_of_it() {
    let mut coder = RangeCoder::default();
    for (kind, len, compressed_len, sum) in BY_LIBENET {
        let mut out = Vec::new();
        assert!(coder.compress(&input(kind, len), &mut out, 8192));
        assert_eq!(out.len(), compressed_len, "{kind}, {len} bytes");
        assert_eq!(crc32fast::hash(&out), sum, "{kind}, {len} bytes");
    }
    let mut out = Vec::new();
    coder.compress(&input(3, 5), &mut out, 100);
    assert_eq!(out, [0x0C, 0xFC, 0xE5, 0x88, 0xD0, 0xD8, 0x61]);
}

#[test]
fn what_is_decompressed_is_what_was_compressed() {
    let mut coder = RangeCoder::default();
    for (kind, len, ..) in BY_LIBENET {
        let input = input(kind, len);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        assert!(coder.compress(&input, &mut out, 8192));
        assert!(coder.decompress(&out, &mut back, len));
        assert!(back == input, "{kind}, {len} bytes");
        back.clear();
        assert!(!coder.decompress(&out, &mut back, len - 1));
    }
}

#[test]
fn what_does_not_get_shorter_is_not_compressed() {
    let mut coder = RangeCoder::default();
    let noise = input(2, 1000);
    assert!(!coder.compress(&noise, &mut Vec::new(), 999));
    assert!(!coder.compress(b"", &mut Vec::new(), 10));
    assert!(!coder.decompress(b"", &mut Vec::new(), 10));
}

#[test]
fn what_nobody_has_compressed_ends_somehow() {
    let mut coder = RangeCoder::default();
    for seed in 0..2000 {
        let mut noise = input(2 + seed % 3, 600);
        noise.rotate_left(seed as usize % 600);
        noise.truncate(1 + seed as usize * 7 % 600);
        let mut out = Vec::new();
        coder.decompress(&noise, &mut out, 4096);
        assert!(out.len() <= 4096);
    }
}

fn input(kind: u32, len: usize) -> Vec<u8> {
    let mut x = 1_u32;
    let byte = |i: usize| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let by_chance = match kind {
            0 => 1 + i * 31 + (i >> 8),
            1 => 0,
            2 => (x >> 24) as usize,
            3 => (x >> 24) as usize % 7 * 3,
            _ => ((x >> 24) & (x >> 16) & (x >> 8)) as usize,
        };
        by_chance as u8
    };
    (0..len).map(byte).collect()
}
