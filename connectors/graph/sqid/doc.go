// Package sqid turns numbers into short ids of letters and digits, by the
// algorithm that the Sqids project publishes (https://sqids.org/spec), word
// list included.
//
//	codec, err := sqid.New(sqid.Options{MinLength: 8})
//	id, err := codec.Encode(4572721)
//
// The same numbers give the same id under the same options, and [Codec.Decode]
// gives them back: an id hides nothing. Whoever wants ids that cannot be
// guessed encodes random numbers, as package graph does.
//
// The code is our own; it is checked against ids that the project's JavaScript
// package made (testdata/vectors.json) and against its published examples.
// blocklist.txt is the project's word list, see blocklist.LICENSE.
package sqid
