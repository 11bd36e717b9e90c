//! Hardware on lines of bytes: an instrument, and a board on a line that loses some.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use peerage::Code;
use peerage::rpc::{CallError, Proxy, Subscription};
use peerage::service::operation::Options;
use peerage_tests::adapter::Adapter;
use peerage_tests::{Relay, join, until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use crate::{failure, is_linked, read};

/// A terminal of which this is the hardware's side, and the path of the other.
fn terminal() -> (OwnedFd, PathBuf) {
    // A process that is started must not hold it open: closed here, it is gone.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let mut settings = tcgetattr(&ours).unwrap();
    settings.make_raw();
    tcsetattr(&ours, OptionalActions::Now, &settings).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    (ours, path.into())
}

/// An instrument that knows a few lines of SCPI, until it is told to let go.
fn instrument(ours: OwnedFd) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut out = std::fs::File::from(ours.try_clone().unwrap());
        let mut heard = Vec::new();
        for line in BufReader::new(std::fs::File::from(ours))
            .lines()
            .map_while(Result::ok)
        {
            let mut answer = |text: &str| write!(out, "{text}\r\n").unwrap();
            match line.as_str() {
                "*IDN?" => answer("ACME,Thermometer,7,1.0"),
                "MEAS:TEMP?" => answer("21.5"),
                "SYST:ALARM" => answer("ALARM"),
                // Somebody pulls the plug.
                "QUIT" => return heard,
                _ => {}
            }
            heard.push(line);
        }
        heard
    })
}

#[tokio::test]
async fn an_instrument_is_asked_by_lines_of_text_until_it_is_pulled_out() {
    let mut relay = Relay::start("127.0.0.1:0");
    let address = relay.adapters();
    let (ours, path) = terminal();
    let instrument = instrument(ours);
    let path = path.to_str().unwrap();
    let adapter = Adapter::start(&[
        "scpi",
        "--connect",
        &address,
        "--name",
        "thermo",
        "--device",
        path,
    ]);
    adapter.until_said("linked: thermo").await;
    relay.until_here("thermo", true).await;
    let node = join(&relay, "caller").await;
    let thermo = node.proxy("thermo", "Scpi");
    questions_are_answered(&thermo).await;
    let mut unasked = thermo.on("unasked");
    what_it_says_unasked_is_told(&thermo, &mut unasked).await;
    a_question_without_an_answer_is_over(&thermo).await;
    whoever_waits_hears_that_it_is_pulled_out(&thermo).await;
    let heard = instrument.join().unwrap();
    assert!(heard.contains(&String::from("SYST:ALARM")));
    adapter.until_said("blocked: the instrument is gone").await;
    until("that is known", async || !is_linked(&node, "thermo").await).await;
    let asked = thermo.call::<String>("query", &("MEAS:TEMP?",)).await;
    assert_eq!(asked.unwrap_err().code(), Some(Code::Unreachable));
}

/// Who it is, and many at once.
async fn questions_are_answered(thermo: &Proxy) {
    until("it has said who it is", async || {
        thermo
            .get::<Value>("identity")
            .await
            .is_ok_and(|identity| identity == "ACME,Thermometer,7,1.0")
    })
    .await;
    let asked = (0..20).map(|_| thermo.call::<String>("query", &("MEAS:TEMP?",)));
    let asked = try_join_all(asked).await.unwrap();
    assert!(asked.iter().all(|answer| answer == "21.5"), "{asked:?}");
}

async fn what_it_says_unasked_is_told(thermo: &Proxy, unasked: &mut Subscription<Value>) {
    unasked.begun().await.unwrap();
    thermo
        .call::<()>("command", &("SYST:ALARM",))
        .await
        .unwrap();
    let told = unasked.next().await.unwrap().unwrap();
    assert_eq!(told, json!({ "line": "ALARM" }));
}

/// What comes next is answered all the same, if it is one line.
async fn a_question_without_an_answer_is_over(thermo: &Proxy) {
    let silent = thermo.call::<String>("query", &("WHO?", 50)).await;
    assert_thrown(&silent.unwrap_err(), "errTimeout");
    let next = thermo.call::<String>("query", &("MEAS:TEMP?",)).await;
    assert_eq!(next.unwrap(), "21.5");
    let two = thermo.call::<String>("query", &("A\nB",)).await;
    assert_thrown(&two.unwrap_err(), "errLine");
}

#[track_caller]
fn assert_thrown(error: &CallError, reason: &str) {
    assert!(
        matches!(error, CallError::Thrown(thrown) if thrown.message == reason),
        "{error:?}"
    );
}

async fn whoever_waits_hears_that_it_is_pulled_out(thermo: &Proxy) {
    let lost = thermo.call::<String>("query", &("QUIT", 600_000)).await;
    match lost.unwrap_err() {
        CallError::Failed(failure) => assert_eq!(failure.code, Code::Interrupted),
        CallError::Thrown(thrown) => assert_eq!(thrown.message, "errNoDevice"),
    }
}

/// Carries bytes from one terminal to another; of what comes at once it loses one in the middle, if it is told to:
/// the zeros at both ends of a frame stand in for one another.
fn carry(from: &OwnedFd, to: &OwnedFd, loses: &Arc<AtomicBool>) {
    let mut from = std::fs::File::from(from.try_clone().unwrap());
    let mut to = std::fs::File::from(to.try_clone().unwrap());
    let loses = Arc::clone(loses);
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        loop {
            match from.read(&mut bytes) {
                Ok(count) => {
                    let mut kept = bytes[..count].to_vec();
                    if loses.load(Ordering::Relaxed) && !kept.is_empty() {
                        kept.remove(count / 2);
                    }
                    // Where nobody has opened the other side they are lost.
                    let _ = to.write_all(&kept);
                }
                // Nobody has opened the other side.
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        }
    });
}

#[tokio::test]
async fn a_board_whose_welcome_is_damaged_says_hello_again() {
    let (near, far) = (terminal(), terminal());
    let [to_board, to_relay] = [true, false].map(|loses| Arc::new(AtomicBool::new(loses)));
    carry(&near.0, &far.0, &to_board);
    carry(&far.0, &near.0, &to_relay);
    let serial = json!([{ "when": { "device": near.1 }, "baud": 115_200 }]);
    let relay = Relay::configured(&json!({ "adapters": { "serial": serial } }));
    let line = format!("serial:{}@115200", far.1.display());
    let board = Adapter::start(&["dispenser", "--connect", &line]);
    relay.until_here("dispenser", true).await;
    // The welcome comes a moment later.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    to_board.store(false, Ordering::Relaxed);
    board.until_said("linked: dispenser").await;
}

#[tokio::test]
async fn a_board_on_a_line_that_loses_bytes_is_interrupted_and_comes_back() {
    let (near, far) = (terminal(), terminal());
    let loses = Arc::new(AtomicBool::new(false));
    carry(&near.0, &far.0, &loses);
    carry(&far.0, &near.0, &loses);
    let serial = json!([{ "when": { "device": near.1 }, "baud": 115_200 }]);
    let relay = Relay::configured(&json!({ "adapters": { "serial": serial } }));
    let line = format!("serial:{}@115200", far.1.display());
    let board = Adapter::start(&["dispenser", "--connect", &line, "--rate", "400"]);
    board.until_said("linked: dispenser").await;
    let node = join(&relay, "caller").await;
    relay.until_here("dispenser", true).await;
    until("it is linked", async || is_linked(&node, "dispenser").await).await;
    let order = json!({ "ml": 40 });
    let poured = node
        .start("dispenser", "pour", &order, Options::default())
        .await;
    assert_eq!(read(poured), json!({ "ml": 40.0 }));
    loses.store(true, Ordering::Relaxed);
    let (reason, _) = failure(&node, "dispenser", "pour", &json!({ "ml": 400 })).await;
    assert!(
        ["interrupted", "unreachable"].contains(&reason.as_str()),
        "{reason}"
    );
    loses.store(false, Ordering::Relaxed);
    until("it is linked again", async || {
        is_linked(&node, "dispenser").await
    })
    .await;
    node.proxy("dispenser", "Simulator")
        .call::<()>("empty", &())
        .await
        .unwrap();
    let poured = node
        .start("dispenser", "pour", &order, Options::default())
        .await;
    assert_eq!(read(poured), json!({ "ml": 40.0 }));
}
