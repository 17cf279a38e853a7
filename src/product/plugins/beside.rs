//! A plugin that an organization tries beside the one that scores, and the calls for which it counts. No I/O.

use super::model::Binding;
use crate::foundation::{
    digest,
    ids::{BindingId, CallId},
};

/// A plugin that an organization tries beside the one that scores: the active one, or what is built in.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// Its binding. A failure policy has no meaning here: a failure falls to the one that scores.
    pub binding: Binding,
    /// The share of the calls for which it counts, in hundredths of a percent; none of a shadow, which never counts.
    pub canary_share: Option<u32>,
}

impl Beside {
    /// The binding, when it is a canary and this call is among those for which it counts.
    pub fn canary_for(&self, call: CallId) -> Option<&Binding> {
        let share = self.canary_share?;
        (lot(call, self.binding.binding_id) < share).then_some(&self.binding)
    }

    /// The binding, when it is a shadow.
    pub fn shadow(&self) -> Option<&Binding> {
        self.canary_share.is_none().then_some(&self.binding)
    }
}

/// All calls, in hundredths of a percent.
const ALL_CALLS: u32 = 10_000;

/// The lot that a call draws with a binding, below [`ALL_CALLS`]: the same whenever it is drawn, and another one with every binding.
fn lot(call: CallId, binding: BindingId) -> u32 {
    let drawn = digest::of_bytes(&[binding.0.as_bytes().as_slice(), call.0.as_bytes()].concat());
    // Hexadecimal digits of SHA-256, so the number reads.
    let number = u64::from_str_radix(&drawn[..15], 16).unwrap_or_default();
    u32::try_from(number % u64::from(ALL_CALLS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::product::plugins::model::FailurePolicy;

    fn canary(share: u32) -> Beside {
        let binding = Binding {
            binding_id: BindingId(uuid::Uuid::from_u128(7)),
            digest: String::new(),
            name: String::new(),
            version: String::new(),
            object_key: String::new(),
            settings: Value::Null,
            policy: FailurePolicy::Fail,
        };
        Beside { binding, canary_share: Some(share) }
    }

    #[test]
    fn a_canary_gets_its_share_and_always_the_same_calls() {
        let calls: Vec<CallId> = (0..20_000_u128).map(|n| CallId(uuid::Uuid::from_u128(n << 64 | n))).collect();
        let chosen = |share: u32| calls.iter().filter(|call| canary(share).canary_for(**call).is_some()).count();
        assert_eq!(chosen(ALL_CALLS), calls.len());
        for share in [100, 2_500, 7_300] {
            let expected = calls.len() * share as usize / ALL_CALLS as usize;
            assert!(chosen(share).abs_diff(expected) < calls.len() / 100, "{share}: {}", chosen(share));
        }
        // Who widens a canary keeps the calls that it had.
        let (narrow, wide) = (canary(1_000), canary(3_000));
        for call in &calls {
            assert!(narrow.canary_for(*call).is_none() || wide.canary_for(*call).is_some());
            assert_eq!(narrow.canary_for(*call), narrow.canary_for(*call));
        }
        let another = |mut beside: Beside| {
            beside.binding.binding_id = BindingId(uuid::Uuid::from_u128(8));
            beside
        };
        let other = another(canary(5_000));
        let differs = calls
            .iter()
            .filter(|call| other.canary_for(**call).is_some() != canary(5_000).canary_for(**call).is_some());
        assert!(differs.count() > calls.len() / 4, "another binding draws other lots");
    }

    #[test]
    fn a_shadow_never_counts() {
        let shadow = Beside { canary_share: None, ..canary(1) };
        assert!(shadow.shadow().is_some());
        assert!(shadow.canary_for(CallId(uuid::Uuid::from_u128(1))).is_none());
        assert!(canary(ALL_CALLS).shadow().is_none());
    }
}
