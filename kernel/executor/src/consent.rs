// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking tasks whether something may be done: each that waits for the question may take its time, and may
//! refuse.

use alloc::vec::Vec;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

/// A question that is asked again and again.
#[derive(Debug, Default)]
pub struct Consent {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Tasks that wait for the question.
    waiting: Vec<Waiting>,
    /// The tasks that have ever waited.
    count: u64,
    /// How often it was asked: an answer to an earlier question counts for nothing.
    round: u64,
    /// Tasks that were asked this time, and have not answered.
    open: u32,
    refused: bool,
    asker: Option<Waker>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    waker: Waker,
    /// The round in which it was asked, if it was.
    asked: Option<u64>,
}

impl State {
    /// A task has answered what it was asked in `round`; the asker is to be woken.
    fn answer(&mut self, round: u64, refused: bool) -> Option<Waker> {
        if round != self.round {
            return None;
        }
        self.refused |= refused;
        self.open = self.open.saturating_sub(1);
        if self.open == 0 { self.asker.take() } else { None }
    }
}

impl Consent {
    /// Nobody was asked yet.
    pub const fn new() -> Self {
        let state = State { waiting: Vec::new(), count: 0, round: 0, open: 0, refused: false, asker: None };
        Self { state: Mutex::new(state) }
    }

    /// Asks the tasks that wait, and waits until all have answered; whether none refused. One that asks may
    /// give up by dropping the future: then answers to it count for nothing.
    pub async fn ask(&self) -> bool {
        let mut state = self.state.lock();
        state.refused = false;
        state.round += 1;
        let round = state.round;
        let wakers: Vec<Waker> = state.waiting.iter().map(|waiting| waiting.waker.clone()).collect();
        state.waiting.iter_mut().for_each(|waiting| waiting.asked = Some(round));
        state.open = wakers.len() as u32;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        core::future::poll_fn(|context| {
            let mut state = self.state.lock();
            if state.open == 0 {
                return Poll::Ready(!state.refused);
            }
            state.asker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits for the question. Dropping the future is an answer, too, if it was asked: a yes.
    pub fn question(&self) -> Question<'_> {
        Question { consent: self, number: None }
    }

    fn answer(&self, round: u64, refused: bool) {
        let asker = self.state.lock().answer(round, refused);
        asker.into_iter().for_each(Waker::wake);
    }
}

/// A wait for a question.
#[derive(Debug)]
#[must_use = "waits only while it is awaited"]
pub struct Question<'a> {
    consent: &'a Consent,
    /// Its number among the waits, once it waits.
    number: Option<u64>,
}

impl<'a> Future for Question<'a> {
    type Output = Hold<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Hold<'a>> {
        let consent = self.consent;
        let mut state = consent.state.lock();
        let own = self.number;
        match state.waiting.iter().position(|waiting| Some(waiting.number) == own) {
            Some(index) => {
                let Some(waiting) = state.waiting.get_mut(index) else { return Poll::Pending };
                let Some(round) = waiting.asked else {
                    waiting.waker.clone_from(context.waker());
                    return Poll::Pending;
                };
                state.waiting.remove(index);
                drop(state);
                self.number = None;
                return Poll::Ready(Hold { consent, round });
            }
            None => {
                let number = state.count;
                state.count += 1;
                state.waiting.push(Waiting { number, waker: context.waker().clone(), asked: None });
                drop(state);
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.consent.state.lock();
        let Some(index) = state.waiting.iter().position(|waiting| waiting.number == number) else { return };
        let asked = state.waiting.remove(index).asked;
        let asker = asked.and_then(|round| state.answer(round, false));
        drop(state);
        asker.into_iter().for_each(Waker::wake);
    }
}

/// A question that was heard and not answered yet. Dropping it is a yes.
#[derive(Debug)]
#[must_use = "dropping it is a yes"]
pub struct Hold<'a> {
    consent: &'a Consent,
    round: u64,
}

impl Hold<'_> {
    /// Answers no.
    pub fn refuse(self) {
        self.consent.answer(self.round, true);
        mem::forget(self);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.consent.answer(self.round, false);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::pin::pin;
    use std::sync::Arc;

    use super::*;
    use crate::woken::Count;

    fn poll<F: Future>(future: Pin<&mut F>, waker: &Arc<Count>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
    }

    fn hold<'a>(question: Pin<&mut Question<'a>>, waker: &Arc<Count>) -> Hold<'a> {
        match poll(question, waker) {
            Poll::Ready(hold) => hold,
            Poll::Pending => panic!("it was not asked"),
        }
    }

    #[test]
    fn where_nobody_waits_everything_may_be_done() {
        let consent = Consent::new();
        assert_eq!(poll(pin!(consent.ask()), &Arc::default()), Poll::Ready(true));
    }

    #[test]
    fn all_who_wait_are_asked_and_waited_for() {
        let (consent, asker, task) = (Consent::new(), Arc::default(), Arc::default());
        let mut first = pin!(consent.question());
        let mut second = pin!(consent.question());
        assert!(poll(first.as_mut(), &task).is_pending() && poll(second.as_mut(), &task).is_pending());
        let mut ask = pin!(consent.ask());
        assert!(poll(ask.as_mut(), &asker).is_pending());
        assert_eq!(task.get(), 2);
        let (first, second) = (hold(first, &task), hold(second, &task));
        drop(first);
        assert_eq!(asker.get(), 0);
        drop(second);
        assert_eq!(asker.get(), 1);
        assert_eq!(poll(ask, &asker), Poll::Ready(true));
    }

    #[test]
    fn one_refusal_is_enough_and_holds_for_one_question() {
        let (consent, waker) = (Consent::new(), Arc::default());
        for refused in [true, false] {
            let mut question = pin!(consent.question());
            let mut other = pin!(consent.question());
            assert!(
                poll(question.as_mut(), &waker).is_pending() && poll(other.as_mut(), &waker).is_pending()
            );
            let mut ask = pin!(consent.ask());
            assert!(poll(ask.as_mut(), &waker).is_pending());
            let answer = hold(question, &waker);
            if refused {
                answer.refuse()
            } else {
                drop(answer)
            }
            drop(hold(other, &waker));
            assert_eq!(poll(ask, &waker), Poll::Ready(!refused));
        }
    }

    #[test]
    fn a_wait_that_is_dropped_keeps_nobody() {
        let (consent, waker) = (Consent::new(), Arc::default());
        let mut ask = pin!(consent.ask());
        {
            let mut question = pin!(consent.question());
            assert!(poll(question.as_mut(), &waker).is_pending());
            assert!(poll(ask.as_mut(), &waker).is_pending());
        }
        assert_eq!(poll(ask, &waker), Poll::Ready(true));
    }

    #[test]
    fn answers_to_a_question_that_was_given_up_count_for_nothing() {
        let (consent, waker) = (Consent::new(), Arc::default());
        let mut question = pin!(consent.question());
        assert!(poll(question.as_mut(), &waker).is_pending());
        assert!(poll(pin!(consent.ask()), &waker).is_pending());
        let late = hold(question, &waker);
        let mut ask = pin!(consent.ask());
        assert_eq!(poll(ask.as_mut(), &waker), Poll::Ready(true));
        late.refuse();
        assert_eq!(poll(pin!(consent.ask()), &waker), Poll::Ready(true));
    }

    #[test]
    fn a_late_answer_is_none_to_the_next_question() {
        let (consent, waker) = (Consent::new(), Arc::default());
        let mut question = pin!(consent.question());
        assert!(poll(question.as_mut(), &waker).is_pending());
        assert!(poll(pin!(consent.ask()), &waker).is_pending());
        let late = hold(question, &waker);
        let mut other = pin!(consent.question());
        assert!(poll(other.as_mut(), &waker).is_pending());
        let mut ask = pin!(consent.ask());
        assert!(poll(ask.as_mut(), &waker).is_pending());
        drop(late);
        assert!(poll(ask.as_mut(), &waker).is_pending(), "the other task has not answered");
        drop(hold(other, &waker));
        assert_eq!(poll(ask, &waker), Poll::Ready(true));
    }
}
