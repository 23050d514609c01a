import Kernels
import TensorGraph

/// ONNX `TfIdfVectorizer` on integers: how often terms of a list occur in a sequence, weighted.
enum TermCountingOperator {
    static let all: [any OperatorPlugin] = [StandardOperator("TfIdfVectorizer", since: 9, expand: expand)]

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        guard let pool = try node.ints("pool_int64s") else {
            throw .unsupported("terms of text (pool_strings) are not computed with; give integers (pool_int64s)")
        }
        guard (1...2).contains(node.shape(x).count), let starts = try node.ints("ngram_counts"),
            let places = try node.ints("ngram_indexes"), let shortest = try node.int("min_gram_length"),
            let longest = try node.int("max_gram_length"), let largestSkip = try node.int("max_skip_count"),
            shortest > 0, longest >= shortest, largestSkip >= 0, places.allSatisfy({ $0 >= 0 })
        else { throw .invalid("\(node.type(x)) or its attributes are not as TfIdfVectorizer needs them") }
        let terms = try terms(pool, starts, places).filter { (shortest...longest).contains($0.members.count) }
        let outputs = (places.max() ?? -1) + 1
        try CheckedSize.check(node.shape(x).dropLast() + [outputs])
        let counts = try node.emit(TermCounting(terms, outputs: outputs, largestSkip: largestSkip), x)

        let given = try weights(places, outputs, node).map { node.constant(Constant($0)) }
        switch try node.string("mode") {
        case "TF"?: return [counts]
        case "TFIDF"?:
            guard let given else { return [counts] }
            return [try node.builder.multiply(counts, given)]
        case "IDF"?:
            let occurs = try node.builder.compare(.greater, counts, node.scalar(0))
            return [try node.builder.select(occurs, given ?? node.scalar(1), node.scalar(0))]
        case let mode: throw .invalid("attribute mode = '\(mode ?? "")' is none of TF, IDF and TFIDF")
        }
    }

    /// The weight of each entry of the output, which is that of the term it counts; nil if there are none.
    private static func weights(_ places: [Int], _ outputs: Int, _ node: Expansion) throws(GraphError) -> [Float]? {
        guard let given = try node.floats("weights") else { return nil }
        guard given.count == places.count else {
            throw .invalid("\(given.count) weights for \(places.count) terms")
        }
        var weights = [Float?](repeating: nil, count: outputs)
        for (place, weight) in zip(places, given) {
            guard weights[place] == nil || weights[place] == weight else {
                throw .unsupported("terms of different weight that share an entry of the output are not implemented")
            }
            weights[place] = weight
        }
        return weights.map { $0 ?? 0 }
    }

    /// The pool holds all terms of one member, then all of two, and so on; `starts` says where each length begins.
    private static func terms(_ pool: [Int], _ starts: [Int], _ places: [Int]) throws(GraphError)
        -> [TermCounting.Term]
    {
        var terms: [TermCounting.Term] = []
        for (index, start) in starts.enumerated() {
            let (length, end) = (index + 1, index + 1 < starts.count ? starts[index + 1] : pool.count)
            guard 0 <= start, start <= end, end <= pool.count, (end - start) % length == 0 else {
                throw .invalid("ngram_counts \(starts) do not divide a pool of \(pool.count) integers into terms")
            }
            for first in stride(from: start, to: end, by: length) {
                guard terms.count < places.count else { throw .invalid("ngram_indexes has fewer entries than terms") }
                terms.append(
                    TermCounting.Term(
                        members: pool[first..<first + length].map(Int64.init), output: places[terms.count]))
            }
        }
        return terms
    }
}
