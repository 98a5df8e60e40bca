//! Programs made up at random.

use proptest::prelude::*;

use crate::program::{
    Act, Callback, Ending, Item, Items, Move, Plan, Program, Script, Step, Then, Verb,
};

/// Any program.
pub(crate) fn programs() -> impl Strategy<Value = Program> {
    let ending = prop_oneof![
        Just(Ending::Drained),
        Just(Ending::Abandoned),
        Just(Ending::ShutDown)
    ];
    let steps = prop::collection::vec(step(), 0..60);
    (1..=4_usize, steps, ending).prop_map(|(size, steps, ending)| Program {
        size,
        steps,
        ending,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let then = prop_oneof![
        6 => Just(Then::Settle),
        1 => Just(Then::Yield),
        2 => Just(Then::Hurry),
    ];
    // What jobs do hands in jobs that do nothing: so every program comes to an end.
    let calm = act(&Just(Vec::new()).boxed());
    let then_acts = prop::collection::vec(calm, 1..3).boxed();
    let acts = prop_oneof![5 => Just(Vec::new()), 1 => then_acts].boxed();
    (act(&acts), then).prop_map(|(act, then)| Step { act, then })
}

type Acts = BoxedStrategy<Vec<Act>>;

fn act(inner: &Acts) -> BoxedStrategy<Act> {
    let stream = (items(inner), any::<bool>(), prop::option::of(1..4_usize));
    let stream = stream.prop_map(|(items, ordered, ahead)| Act::Stream {
        items,
        ordered,
        ahead,
    });
    let handing_in = prop_oneof![
        10 => plan(inner).prop_map(Act::SpawnN),
        1 => items(inner).prop_map(Act::MapN),
        5 => plan(inner).prop_map(Act::Spawn),
        4 => plan(inner).prop_map(Act::Exec),
        4 => items(inner).prop_map(Act::Map),
        5 => stream,
        1 => (verb(), items(inner)).prop_map(|(verb, items)| Act::DropUnpolled(verb, items)),
    ];
    let waiting = prop_oneof![
        2 => Just(Act::Join),
        3 => which().prop_map(Act::AwaitHandle),
        8 => which().prop_map(Act::ReadStream),
    ];
    let stopping = prop_oneof![
        2 => any::<u8>().prop_map(|which| Act::Cancel { which }),
        2 => Just(Act::CancelAll),
        4 => which().prop_map(Act::CancelHandle),
        2 => Just(Act::CancelMyself),
        2 => which().prop_map(Act::DropHandle),
        2 => which().prop_map(Act::DropStream),
        4 => which().prop_map(Act::DropCaller),
    ];
    prop_oneof![
        1 => Just(Act::Nothing),
        40 => handing_in,
        14 => waiting,
        16 => stopping,
        40 => which().prop_map(Act::OpenGate),
        2 => which().prop_map(Act::WakeForNothing),
        2 => which().prop_map(Act::PollForNothing),
        1 => Just(Act::DropPool),
    ]
    .boxed()
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        Just(Verb::Spawn),
        Just(Verb::Exec),
        Just(Verb::Map),
        Just(Verb::Stream),
        Just(Verb::Join),
        Just(Verb::CancelAll),
    ]
}

fn items(inner: &Acts) -> impl Strategy<Value = Items> + use<> {
    let item = (inner.clone(), seldom(), script(inner), callback(inner));
    let item = item.prop_map(|(acts, panics, future, callback)| Item {
        acts,
        panics,
        future,
        callback,
    });
    let items = prop::collection::vec(item, 0..6);
    (items, any::<bool>(), seldom()).prop_map(|(list, called_back, panics)| Items {
        list,
        called_back,
        panics,
    })
}

fn plan(inner: &Acts) -> impl Strategy<Value = Plan> + use<> {
    let callback = prop::option::weighted(0.3, callback(inner));
    (script(inner), callback).prop_map(|(future, callback)| Plan { future, callback })
}

fn callback(inner: &Acts) -> impl Strategy<Value = Callback> + use<> {
    (script(inner), seldom()).prop_map(|(future, panics)| Callback { future, panics })
}

fn script(inner: &Acts) -> impl Strategy<Value = Script> + use<> {
    let gates = prop_oneof![4 => Just(1), 2 => Just(0), 1 => Just(2)];
    (
        gates,
        inner.clone(),
        inner.clone(),
        seldom(),
        seldom(),
        seldom(),
    )
        .prop_map(
            |(gates, first, last, panics, panics_when_dropped, output_panics_when_dropped)| {
                let gates = (0..gates).map(|_| Move::Gate);
                let first = first.into_iter().map(Move::Act);
                let last = last.into_iter().map(Move::Act);
                Script {
                    moves: first.chain(gates).chain(last).collect(),
                    panics,
                    panics_when_dropped,
                    output_panics_when_dropped,
                }
            },
        )
}

/// As many as there are of anything, as a rule.
fn which() -> impl Strategy<Value = usize> {
    0..12_usize
}

fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}
