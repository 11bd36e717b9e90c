//! The cipher of sessions, ChaCha20-Poly1305 (RFC 8439): the same bytes on every target, by the quickest
//! code that each has.

#[cfg_attr(target_arch = "wasm32", path = "wasm.rs")]
#[cfg_attr(not(target_arch = "wasm32"), path = "native.rs")]
mod platform;

pub(super) use platform::cipher;

#[cfg(test)]
mod tests {
    use snow::params::CipherChoice;
    use snow::resolvers::{CryptoResolver, DefaultResolver};
    use snow::types::Cipher;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NONCE: u64 = 0x0102_0304_0506_0708;
    const KEY: [u8; 32] = [7; 32];

    fn ours() -> Box<dyn Cipher> {
        let mut cipher = super::cipher(&CipherChoice::ChaChaPoly).unwrap();
        cipher.set(&KEY);
        cipher
    }

    fn snows() -> Box<dyn Cipher> {
        let mut cipher = DefaultResolver
            .resolve_cipher(&CipherChoice::ChaChaPoly)
            .unwrap();
        cipher.set(&KEY);
        cipher
    }

    #[test]
    fn it_seals_as_snows_own_does_and_opens_what_that_sealed() {
        for len in [0, 1, 63, 64, 65, 1200, 65_000] {
            let plain: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let (mut a, mut b) = (vec![0; len + 16], vec![0; len + 16]);
            assert_eq!(ours().encrypt(NONCE, b"with", &plain, &mut a), len + 16);
            snows().encrypt(NONCE, b"with", &plain, &mut b);
            assert_eq!(a, b);
            let mut opened = vec![0; len];
            let took = ours().decrypt(NONCE, b"with", &b, &mut opened);
            assert_eq!((took.unwrap(), opened), (len, plain));
        }
    }

    #[test]
    fn what_was_changed_or_cut_is_not_opened() {
        let mut sealed = vec![0; 20 + 16];
        ours().encrypt(NONCE, b"", &[1; 20], &mut sealed);
        let mut out = [0; 64];
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert!(ours().decrypt(NONCE, b"", &changed, &mut out).is_err());
        }
        for nonce in [NONCE + 1, 0] {
            assert!(ours().decrypt(nonce, b"", &sealed, &mut out).is_err());
        }
        assert!(ours().decrypt(NONCE, b"x", &sealed, &mut out).is_err());
        assert!(ours().decrypt(NONCE, b"", &sealed, &mut out).is_ok());
    }
}
