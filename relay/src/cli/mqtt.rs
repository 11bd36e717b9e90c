//! Where a node speaks MQTT.

use std::net::SocketAddr;

use crate::Node;
use crate::cli::CliError;
use crate::config::FileConfig;
use crate::front::held::Holder;
use crate::front::mqtt::Front;

/// Who speaks for clients of MQTT, as a configuration says, and the TCP port at which they come.
pub(super) async fn open(
    node: &Node,
    holder: &Holder,
    file: &FileConfig,
) -> Result<(Option<Front>, Option<SocketAddr>), CliError> {
    if !file.mqtt.is_on() {
        return Ok((None, None));
    }
    let runtime = node.runtime().clone();
    let front = Front::new(runtime, holder.clone(), &file.mqtt);
    let at = match file.mqtt.listen {
        Some(address) => {
            let listening = front.listen(address).await;
            Some(listening.map_err(|source| CliError::Listen { address, source })?)
        }
        None => None,
    };
    Ok((Some(front), at))
}
