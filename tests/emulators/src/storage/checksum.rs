//! CRC32C, as Cloud Storage writes it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The Castagnoli polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut value = byte;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte as usize] = value;
        byte += 1;
    }
    table
}

/// The checksum of a content: four bytes, most significant first, in base 64.
pub(crate) fn crc32c(content: &[u8]) -> String {
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)];
    BASE64_STANDARD.encode((!content.iter().fold(!0, step)).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_checksum_of_the_standard() {
        // The check value of CRC-32C is that of these digits.
        assert_eq!(crc32c(b"123456789"), BASE64_STANDARD.encode(0xE306_9283_u32.to_be_bytes()));
        assert_eq!(crc32c(b""), "AAAAAA==");
    }
}
