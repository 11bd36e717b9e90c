//! Values to come as arguments: KAI writes each as a pair, `[true, value]` or `[false, number]`, and tells the
//! value under that number later.

use std::sync::Arc;

use peerage::error::Code;
use peerage::limits::{KAI_ANSWER_TIMEOUT, KAI_ARGUMENTS_MAX};
use peerage::object::{Item, Node, Value};
use peerage::rpc::{Act, CallError, Parcel, Reference};

use super::session::{Running, Shared};
use super::wire::{Message, Outcome};
use crate::front::enet::kai::codec::KaiError;

/// A value to come that KAI knows by a number. It is told once it is there, by [`Exported::tell`]: KAI has to hear of
/// the number before.
pub(super) struct Exported {
    reference: Reference,
    number: i32,
    running: Running,
}

/// The arguments of a call to KAI, where what is to come has a number; and what that is.
pub(super) fn export_all(
    shared: &Arc<Shared>,
    args: Parcel,
) -> Result<(Value, Vec<Exported>), CallError> {
    let mut value = args.value().clone();
    let mut exported = Vec::new();
    let Item::Node(root) = *value.root() else {
        return Ok((Value::list([]), exported));
    };
    let Some(Node::List(items)) = value.node(root).cloned() else {
        return Ok((Value::list([]), exported));
    };
    for (place, item) in items.into_iter().enumerate() {
        let Item::Pointer(pointer) = item else {
            continue;
        };
        let reference = args.reference(&pointer).filter(|_| pointer.future);
        let foreign = || Code::BadMessage.because(KaiError::Foreign("a reference").to_string());
        let reference = reference.ok_or_else(foreign)?.clone();
        let running = shared.begin()?;
        let number = shared.new_number()?;
        let pair = vec![Item::Bool(false), i64::from(number).into()];
        let pair = value.add(Node::List(pair));
        if let Some(Node::List(items)) = value.node_mut(root) {
            items[place] = pair;
        }
        exported.push(Exported {
            reference,
            number,
            running,
        });
    }
    Ok((value, exported))
}

impl Exported {
    /// Tells KAI the value once it is there.
    pub(super) fn tell(self) {
        let Self {
            reference,
            number: future,
            running,
        } = self;
        tokio::spawn(async move {
            let asking = reference.proxy().ask(Act::Await, "", Parcel::default());
            let (value, outcome) = match asking.within(KAI_ANSWER_TIMEOUT).await {
                Ok(parcel) => (parcel.value().clone(), Outcome::Returned),
                Err(_) => (Value::default(), Outcome::BadRequest),
            };
            // It may have gone.
            let _ = running.shared().say(&Message::Resolve {
                future,
                value,
                outcome,
            });
        });
    }
}

/// The arguments of a call by KAI, each by itself, where a number is a value to come.
pub(super) fn import_all(shared: &Arc<Shared>, args: &Value) -> Result<Parcel, CallError> {
    let parcel = Parcel::new(args.clone(), Vec::new());
    let count = parcel.items().len();
    // Each is taken out of the whole by itself.
    if count > KAI_ARGUMENTS_MAX {
        let message = format!("expected at most {KAI_ARGUMENTS_MAX} arguments, got {count}");
        return Err(Code::TooLarge.because(message).into());
    }
    let mut parcels = Vec::with_capacity(count);
    for item in parcel.items() {
        parcels.push(import(shared, args, item)?);
    }
    Ok(Parcel::list(parcels))
}

fn import(shared: &Arc<Shared>, args: &Value, item: &Item) -> Result<Parcel, CallError> {
    match pair(args, item) {
        Some((true, value)) => Ok(part(args, value)),
        Some((false, Item::Unsigned(number))) if i32::try_from(*number).is_ok() => {
            let number = i32::try_from(*number).unwrap_or_default();
            let (imported, told) = shared.import(number)?;
            let gone =
                || Code::Gone.because("the node of KAI has gone, or has used the number again");
            let coming = async move {
                let value = told.await.unwrap_or_else(|_| Err(gone().into()));
                drop(imported);
                value
            };
            Ok(shared.rpc.share_future(coming).into())
        }
        _ => Ok(part(args, item)),
    }
}

/// Whether an argument is one that is to come, or was.
fn pair<'a>(args: &'a Value, item: &Item) -> Option<(bool, &'a Item)> {
    let Item::Node(slot) = item else {
        return None;
    };
    match args.node(*slot)? {
        Node::List(items) => match &items[..] {
            [Item::Bool(is_there), value] => Some((*is_there, value)),
            _ => None,
        },
        _ => None,
    }
}

/// An item of a value as one of its own.
fn part(args: &Value, item: &Item) -> Parcel {
    let mut value = args.clone();
    let list = value.add(Node::List(vec![item.clone()]));
    value.set_root(list);
    let [part] = value.into_parts();
    Parcel::new(part, Vec::new())
}
