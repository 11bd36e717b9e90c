//! Stands: the nodes that are held for adapters. A stand stays for a while when its adapter goes, so that
//! who uses it need not look for another; what is asked of it fails at once until the adapter is back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerage::error::Code;
use peerage::limits::ADAPTERS_MAX;
use peerage::rpc::{AgentHandle, Parcel};
use peerage::{Failure, Kind, Name};
use peerage_tau::Method;

use super::agent::{Offered, operate};
use super::link::{AGENT, Link, Linked, Teller};
use super::session::Hello;
use crate::JoinError;
use crate::adapter::schema::Schema;
use crate::front::held::{Held, Holder};
use crate::front::out::Out;

/// All stands of a node, by the names that their adapters wish for.
pub(super) struct Stands {
    holder: Holder,
    /// How long one stays without its adapter.
    kept: Duration,
    places: Mutex<HashMap<Name, Arc<Place>>>,
}

/// Where a stand is, or will be.
type Place = tokio::sync::Mutex<Option<Arc<Stand>>>;

/// What is held for an adapter.
pub(super) struct Stand {
    pub(super) held: Held,
    pub(super) link: Arc<Link>,
    interfaces: Vec<(AgentHandle, Arc<Offered>)>,
    _teller: AgentHandle,
}

impl Stands {
    pub(super) fn new(holder: Holder, kept: Duration) -> Self {
        let places = Mutex::default();
        Self {
            holder,
            kept,
            places,
        }
    }

    /// Links an adapter to its stand, which is made if there is none.
    ///
    /// # Errors
    /// `refused` if another is linked under its name; why no node can be held for it.
    pub(super) async fn link(
        &self,
        hello: &Hello,
        out: &Out,
    ) -> Result<(Arc<Stand>, Linked), Failure> {
        let place = self.place(&hello.name)?;
        let mut place = place.lock().await;
        if let Some(stand) = &*place {
            let instance = stand.link.instance();
            if instance.is_some_and(|linked| linked != hello.about.instance) {
                let message = format!("another adapter is linked as `{}`", hello.name);
                return Err(Code::Refused.because(message));
            }
            // The same one: its last link is over, and nobody has noticed.
            stand.link.end(None);
        }
        let known = place.take().filter(|stand| stand.has(&hello.schemas));
        let stand = match known {
            Some(stand) => stand,
            None => Arc::new(Stand::new(self.hold(&hello.name).await?, hello)?),
        };
        *place = Some(Arc::clone(&stand));
        let linked = stand
            .link
            .begin(out, &hello.about.instance, hello.about.after);
        Ok((stand, linked))
    }

    /// Lets a stand wait for its adapter, and then go.
    pub(super) fn keep(self: &Arc<Self>, name: &Name, stand: &Arc<Stand>) {
        let (stands, name) = (Arc::clone(self), name.clone());
        let (stand, links) = (Arc::downgrade(stand), stand.link.links());
        tokio::spawn(async move {
            tokio::time::sleep(stands.kept).await;
            let Ok(place) = stands.place(&name) else {
                return;
            };
            let mut place = place.lock().await;
            let is_meant = |there: &mut Arc<Stand>| {
                std::ptr::eq(Arc::as_ptr(there), stand.as_ptr()) && there.link.links() == links
            };
            drop(place.take_if(is_meant));
        });
    }

    async fn hold(&self, name: &Name) -> Result<Held, Failure> {
        let held = self.holder.hold(Kind::Adapter, Some(name.clone())).await;
        held.map_err(|error| match error {
            JoinError::Failed(failure) => failure,
            other => Code::Refused.because(other.to_string()),
        })
    }

    fn place(&self, name: &Name) -> Result<Arc<Place>, Failure> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(name) {
            return Ok(Arc::clone(place));
        }
        let is_used = |place: &Arc<Place>| {
            Arc::strong_count(place) > 1 || place.try_lock().is_ok_and(|place| place.is_some())
        };
        places.retain(|_, place| is_used(place));
        if places.len() >= ADAPTERS_MAX {
            let message = format!("there are {ADAPTERS_MAX} adapters here already");
            return Err(Code::Overloaded.because(message));
        }
        let place = places.entry(name.clone()).or_default();
        Ok(Arc::clone(place))
    }
}

impl Stand {
    fn new(held: Held, hello: &Hello) -> Result<Self, Failure> {
        let link = Arc::<Link>::default();
        let mut interfaces = Vec::new();
        for schema in &hello.schemas {
            let offered = Arc::new(Offered::new(Arc::clone(schema), Arc::clone(&link)));
            let handle = held.rpc().agent_of(schema.name(), offered.clone())?;
            for method in schema.operations() {
                offer(&held, Arc::clone(schema), method.clone(), &link);
            }
            interfaces.push((handle, offered));
        }
        let about = Parcel::of(&hello.shown()).map_err(peerage::rpc::CallError::from);
        let about = about.unwrap_or_default();
        let teller = Teller {
            link: Arc::clone(&link),
            about,
        };
        let teller = held.rpc().agent(AGENT, teller)?;
        Ok(Self {
            held,
            link,
            interfaces,
            _teller: teller,
        })
    }

    /// The interface of a name.
    ///
    /// # Errors
    /// `bad-message` if there is none.
    pub(super) fn interface(&self, name: &str) -> Result<&(AgentHandle, Arc<Offered>), Failure> {
        let mut interfaces = self.interfaces.iter();
        let found = interfaces.find(|(_, offered)| offered.schema.name() == name);
        found.ok_or_else(|| Code::BadMessage.because(format!("`{name}` was not announced")))
    }

    /// Whether it has these interfaces, and no others.
    fn has(&self, schemas: &[Arc<Schema>]) -> bool {
        let own = self
            .interfaces
            .iter()
            .map(|(_, offered)| &offered.schema.hash);
        own.eq(schemas.iter().map(|schema| &schema.hash))
    }
}

fn offer(held: &Held, schema: Arc<Schema>, method: Method, link: &Arc<Link>) {
    let (link, name) = (Arc::clone(link), method.name.clone());
    let run = move |work| {
        let (schema, link) = (Arc::clone(&schema), Arc::clone(&link));
        Box::pin(operate(schema, method.clone(), link, work)) as _
    };
    held.operations().offer_made(&name, true, run);
}
