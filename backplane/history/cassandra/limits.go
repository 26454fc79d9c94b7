package cassandra

import "time"

// What is part of the stored format: to change one is to change format.
const (
	// format is the version of the tables.
	format = "1"

	// bucketSize is how many offsets of a partition share a bucket, and so the most rows
	// of a timeline's bucket. At 10 records a second in the partition it is a bit more than
	// a day: few enough buckets that a page of a quiet user needs few of them, and few
	// enough rows (of 200 bytes, at worst, 200 MB) that Cassandra can handle a user who
	// gets everything.
	bucketSize = 1 << 20

	// sliceSize is how many partitions share a row group of the table applied: the
	// positions of 1,024 partitions are read by 16 queries, and the writes, one for each
	// batch, are spread over the cluster.
	sliceSize = 64
)

// The limits that are not settings.
const (
	// grace is how long rows live on after their retention, so that no floor that a
	// process tells is behind what Cassandra has dropped, even where clocks differ.
	grace = dayMS

	// expiredGrace is the same for messages with a time of their own, which are hidden
	// to the millisecond by whoever reads them.
	expiredGrace = 3600 * 1000

	// maxTTL is the longest time to live that is given to a row, in seconds: 10 years.
	// Cassandra refuses more than 20, and those that end in 2038 or later where it must
	// be able to return to version 4. Only a log time in the future asks for so much.
	maxTTL = 10 * 365 * 24 * 3600

	// maxRetention leaves room for log times below maxTTL.
	maxRetention = 5 * 365 * 24 * time.Hour

	// settingsAge is how old the settings may be that a process works with.
	settingsAge = 10 * time.Second

	// retentionMargin is for how many days after a retention was changed rows are taken
	// to be written under the old one; processes follow in settingsAge.
	retentionMargin = 1

	// batchRows and batchBytes bound the rows of one Cassandra partition that are written
	// by one statement.
	batchRows  = 64
	batchBytes = 128 << 10

	// chunkRows is how many rows a read asks for at once. With the largest values, of 74 KB,
	// that is below 10 MB.
	chunkRows = 128

	// bucketPage is how many buckets of a timeline are asked for at once.
	bucketPage = 64

	// maxParallel is how many buckets a read looks into at once. It begins with one, and
	// doubles for each time that they did not fill the page: quiet users have many buckets
	// with few rows.
	maxParallel = 8

	// indexCache is how many buckets are remembered as written before half are forgotten.
	// One takes about 40 bytes; forgetting costs a write more.
	indexCache = 1 << 19

	// retries is how often a statement is tried again, at another node.
	retries = 1

	// reconnect is how often nodes that are down are tried.
	reconnect = time.Second

	// adminTimeout bounds a statement that changes the schema or empties a table.
	adminTimeout = time.Minute

	// closeTimeout is how long the client is given to close a session.
	closeTimeout = 10 * time.Second
)
