//! Streams for which the opener offers several protocols, and what a hostile side makes of that.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn offered() -> Vec<Protocol> {
    vec!["test/2".into(), "test/1".into()]
}

fn record(frames: &[(StreamId, StreamFrame)]) -> Bytes {
    let mut out = BytesMut::new();
    for (id, frame) in frames {
        frame.encode(*id, &mut out);
    }
    out.freeze()
}

fn data() -> StreamFrame {
    StreamFrame::Data {
        fragment: Bytes::from_static(b"early"),
        last: true,
    }
}

/// An end whose offer of two the other end knows, and was asked nothing yet; and which stream that is.
fn asking() -> (Mux, StreamId) {
    let mut mux = Mux::new(true);
    let id = mux.offer(offered()).unwrap();
    mux.write_record(&mut BytesMut::new());
    (mux, id)
}

fn ended(mux: &mut Mux, id: StreamId) -> Option<Code> {
    match mux.read(id) {
        Read::Reset(failure) => Some(failure.code),
        _ => None,
    }
}

#[test]
fn what_is_sent_before_the_choice_leaves_after_it() {
    let mut pair = Pair::new();
    let id = pair.0.offer(offered()).unwrap();
    pair.0.send(id, &message(3)).unwrap();
    pair.0.finish(id);
    pair.exchange();
    let incoming = MuxEvent::Incoming(id, offered());
    assert_eq!(events(&mut pair.1), [incoming]);
    assert_eq!(pair.1.read(id), Read::Nothing);
    assert_eq!(pair.0.choice(id), Ok(None));
    pair.1.send(id, &message(5)).unwrap();
    pair.exchange();
    assert_eq!(pair.0.read(id), Read::Nothing);

    pair.1.choose(id, 1);
    // Once chosen, it is.
    pair.1.choose(id, 0);
    pair.1.finish(id);
    pair.exchange();
    assert_eq!(
        (pair.0.choice(id), pair.1.choice(id)),
        (Ok(Some(1)), Ok(Some(1)))
    );
    assert!(events(&mut pair.0).contains(&MuxEvent::Readable(id)));
    assert_eq!(pair.1.read(id), Read::Message(message(3)));
    assert_eq!(pair.1.read(id), Read::Finished);
    assert_eq!(pair.0.read(id), Read::Message(message(5)));
    pair.0.release(id);
    pair.1.release(id);
    assert!(pair.0.is_empty() && pair.1.is_empty());
}

#[test]
fn a_single_protocol_is_known_without_a_choice() {
    let mut pair = Pair::new();
    let id = pair.opened();
    assert_eq!(pair.0.choice(id), Ok(Some(0)));
    pair.1.choose(id, 3);
    assert!(!pair.1.wants_to_send());
}

#[test]
fn an_offer_that_is_refused_or_given_up_leaves_nothing_behind() {
    let mut pair = Pair::new();
    let refused = pair.0.offer(offered()).unwrap();
    let given_up = pair.0.offer(offered()).unwrap();
    pair.exchange();
    pair.1.reset(refused, Code::UnknownProtocol.because("none"));
    pair.0
        .abandon(given_up, Code::Cancelled.because("no longer"));
    pair.1.choose(given_up, 0);
    pair.exchange();
    let choice = pair.0.choice(refused).map_err(|failure| failure.code);
    assert_eq!(choice, Err(Code::UnknownProtocol));
    pair.0.release(refused);
    pair.1.release(refused);
    pair.1.release(given_up);
    assert!(pair.0.is_empty() && pair.1.is_empty());
}

#[test]
fn a_choice_before_an_early_end_counts() {
    let mut pair = Pair::new();
    let id = pair.0.offer(offered()).unwrap();
    pair.exchange();
    pair.1.choose(id, 0);
    transfer(&mut pair.1, &mut pair.0);
    pair.1.reset(id, Code::Refused.because("not today"));
    pair.exchange();
    assert_eq!(pair.0.choice(id), Ok(Some(0)));
    assert_eq!(ended(&mut pair.0, id), Some(Code::Refused));
}

#[test]
fn no_offer_is_made_that_breaks_the_rules() {
    let mut mux = Mux::new(true);
    let long = "x".repeat(PROTOCOL_BYTES_MAX + 1);
    let too_many = vec!["x".to_owned(); OFFERED_PROTOCOLS_MAX + 1];
    for wrong in [
        vec![],
        too_many,
        vec!["x".into(), long],
        vec![String::new()],
    ] {
        let refused = mux.offer(wrong).map_err(|failure| failure.code);
        assert_eq!(refused, Err(Code::BadMessage));
    }
    assert!(mux.is_empty());
}

#[test]
fn an_offer_of_the_longest_ids_fits_behind_anything() {
    let mut pair = Pair::new();
    let longest = vec!["x".repeat(PROTOCOL_BYTES_MAX); OFFERED_PROTOCOLS_MAX];
    let id = pair.opened();
    events(&mut pair.1);
    pair.0.send(id, &message(2 * FRAGMENT_BYTES_MAX)).unwrap();
    let offered = pair.0.offer(longest.clone()).unwrap();
    let mut longer = BytesMut::new();
    pair.0.write_record(&mut longer);
    assert!(longer.len() < 15 * 1024, "{}", longer.len());
    pair.1.read_record(longer.freeze()).unwrap();
    pair.exchange();
    assert!(events(&mut pair.1).contains(&MuxEvent::Incoming(offered, longest)));
}

#[test]
fn a_choice_that_was_never_offered_ends_the_session() {
    for place in [2, 7, u8::MAX] {
        let (mut mux, id) = asking();
        let wrong = mux.read_record(record(&[(id, StreamFrame::Choice(place))]));
        assert_eq!(wrong.map_err(|f| f.code), Err(Code::BadMessage), "{place}");
    }
}

#[test]
fn a_choice_out_of_place_ends_the_session() {
    let refused = |mux: &mut Mux, id| {
        let got = mux.read_record(record(&[(id, StreamFrame::Choice(0))]));
        got.map_err(|failure| failure.code) == Err(Code::BadMessage)
    };
    let (mut twice, id) = asking();
    twice
        .read_record(record(&[(id, StreamFrame::Choice(0))]))
        .unwrap();
    assert!(refused(&mut twice, id), "twice");

    let mut single = Mux::new(true);
    let id = single.open("test/1".into()).unwrap();
    single.write_record(&mut BytesMut::new());
    assert!(refused(&mut single, id), "of a single protocol");

    let mut unheard = Mux::new(true);
    let id = unheard.offer(offered()).unwrap();
    assert!(refused(&mut unheard, id), "before the offer");

    let mut asked = Mux::new(true);
    let id = StreamId(1);
    asked
        .read_record(record(&[(id, StreamFrame::Offer(offered()))]))
        .unwrap();
    assert!(refused(&mut asked, id), "by who has offered");
    assert!(refused(&mut asked, StreamId(4)), "of no stream");
}

#[test]
fn a_choice_for_a_stream_that_was_given_up_is_nothing() {
    let (mut mux, id) = asking();
    mux.reset(id, Code::Cancelled.because("enough"));
    let late = record(&[(id, StreamFrame::Choice(9))]);
    mux.read_record(late.clone()).unwrap();
    mux.write_record(&mut BytesMut::new());
    mux.release(id);
    mux.read_record(late).unwrap();
    assert!(mux.is_empty());
}

#[test]
fn whatever_else_comes_before_the_choice_resets_the_stream() {
    for early in [data(), StreamFrame::Finish, StreamFrame::Credit(u64::MAX)] {
        let (mut mux, id) = asking();
        mux.read_record(record(&[(id, early.clone())])).unwrap();
        assert_eq!(ended(&mut mux, id), Some(Code::BadMessage), "{early:?}");

        let (mut asked, id) = (Mux::new(true), StreamId(1));
        let offer = (id, StreamFrame::Offer(offered()));
        asked
            .read_record(record(&[offer, (id, early.clone())]))
            .unwrap();
        asked.choose(id, 0);
        assert_eq!(ended(&mut asked, id), Some(Code::BadMessage), "{early:?}");
        assert_eq!(asked.held_bytes(), 0);
    }
}

#[test]
fn offers_without_end_are_bounded_as_any_streams_are() {
    let mut mux = Mux::new(true);
    let most = (STREAMS_MAX + REFUSED_STREAMS_MAX) as u64;
    let offer = |n: u64| {
        let longest = vec!["x".repeat(PROTOCOL_BYTES_MAX); OFFERED_PROTOCOLS_MAX];
        record(&[(StreamId(2 * n + 1), StreamFrame::Offer(longest))])
    };
    for n in 0..most {
        mux.read_record(offer(n)).unwrap();
    }
    let overloaded = mux.read_record(offer(most)).map_err(|failure| failure.code);
    assert_eq!(overloaded, Err(Code::Overloaded));
    assert_eq!(mux.len() as u64, most);
}
