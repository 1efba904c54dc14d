package envconfig

import "strings"

// nearest is the known variable of ours that takes the fewest edits to write
// name; the first of them where several do.
func nearest(name string, known []string) string {
	best, fewest := "", -1
	for _, candidate := range known {
		if !strings.HasPrefix(candidate, prefix) || strings.HasPrefix(candidate, devPrefix) && !devBuild {
			continue
		}
		if d := distance(name, candidate); fewest < 0 || d < fewest {
			best, fewest = candidate, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
