//! Natively AWS-LC, which has it in assembler and keeps the key as it needs it.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use snow::Error;
use snow::params::CipherChoice;
use snow::types::Cipher;

const TAG_BYTES: usize = 16;

/// The cipher, if it is one that we know.
pub(in crate::session) fn cipher(choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
    matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::new(ChaChaPoly(None)) as _)
}

/// The key, once it is set. (It is "less safe" in that the nonces are ours to choose: they are the numbers
/// of records.)
struct ChaChaPoly(Option<LessSafeKey>);

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key);
        self.0 = key.ok().map(LessSafeKey::new);
    }

    /// Snow asks only with a key that was set, and with room for the tag. Were it otherwise, what is left is
    /// zeros, never what was to be sealed.
    fn encrypt(&self, number: u64, with: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        let len = plain.len();
        out[..len].copy_from_slice(plain);
        let key = self.0.as_ref();
        let nonce = nonce(number);
        let tag = key.and_then(|key| {
            key.seal_in_place_separate_tag(nonce, Aad::from(with), &mut out[..len])
                .ok()
        });
        match tag {
            Some(tag) => out[len..len + TAG_BYTES].copy_from_slice(tag.as_ref()),
            None => out[..len + TAG_BYTES].fill(0),
        }
        len + TAG_BYTES
    }

    fn decrypt(
        &self,
        number: u64,
        with: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (body, tag) = sealed
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(Error::Decrypt)?;
        let out = out.get_mut(..body.len()).ok_or(Error::Decrypt)?;
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        key.open_separate_gather(nonce(number), Aad::from(with), body, tag, out)
            .map_err(|_| Error::Decrypt)?;
        Ok(body.len())
    }
}

/// A number as Noise makes it a nonce: four zeros before it, little-endian.
fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}
