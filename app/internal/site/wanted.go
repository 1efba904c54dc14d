package site

import "github.com/muster-agent/muster/app/internal/latest"

// Urgency says why an enrollment is wanted, in order of urgency.
type Urgency int

// The urgencies.
const (
	// NotWanted: nobody asks.
	NotWanted Urgency = iota
	// Occasionally: the relay has refused the key for long without saying why:
	// one try per operator wait, beside trying the key.
	Occasionally
	// UntilStored: the server says that it does not know the key.
	UntilStored
	// Always: there is no key for what is configured, or somebody asked for
	// another; that the present one works does not take it back.
	Always
)

// Wanted is where the agent's parts ask for a site enrollment. It is safe for
// concurrent use.
type Wanted struct{ *latest.Value[Urgency] }

// NewWanted returns one that nobody has asked.
func NewWanted() Wanted { return Wanted{latest.New(NotWanted)} }

// Ask asks for an enrollment, unless a more urgent one is wanted.
func (w Wanted) Ask(u Urgency) {
	w.Update(func(present Urgency) (Urgency, bool) { return max(u, present), u > present })
}

// Withdraw takes everything back.
func (w Wanted) Withdraw() {
	w.Update(func(present Urgency) (Urgency, bool) { return NotWanted, present != NotWanted })
}

// WithdrawUnlessAlways takes back what the relay's refusals asked for: it
// accepts the key after all.
func (w Wanted) WithdrawUnlessAlways() {
	w.Update(func(present Urgency) (Urgency, bool) {
		if present == Always {
			return present, false
		}
		return NotWanted, present != NotWanted
	})
}
