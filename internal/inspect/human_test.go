package inspect

import (
	"testing"
	"time"
)

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 300 * time.Microsecond: "0.3 ms", 41 * time.Millisecond: "41 ms", 5500 * time.Millisecond: "5s",
		65 * time.Second: "1m05s", 3*time.Hour + 12*time.Minute: "3h12m", 50 * time.Hour: "2d02h", -time.Minute: "-1m00s",
	} {
		if got := HumanDuration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 61440: "60 KiB", 5 << 30: "5.0 GiB", 3 << 50: "3 PiB"} {
		if got := HumanSize(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
