import Glibc
import Kernels
import Testing

/// Attention by blocks against its definition in double precision, gradients against central differences of that.
@Suite struct TiledAttentionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var heads = 2
        var queries: Int
        var keys: Int
        var isCausal = false
        /// Whether a mask of truth values hides some keys of each head, and all of them from query 1.
        var replacesBy: Float?
        var clears = false

        var testDescription: String { name }
        var width: Int { 3 }
        var valueWidth: Int { 2 }
    }

    private static let cases = [
        Case(name: "one block", queries: 7, keys: 5),
        Case(name: "several blocks", heads: 1, queries: 300, keys: 300),
        Case(name: "causal, several blocks", queries: 150, keys: 150, isCausal: true),
        Case(name: "causal, behind the keys", queries: 70, keys: 90, isCausal: true),
        Case(name: "replaced scores", queries: 9, keys: 8, replacesBy: -2),
        Case(name: "hidden keys", queries: 9, keys: 8, replacesBy: -.infinity, clears: true),
        Case(
            name: "causal and hidden keys", queries: 80, keys: 80, isCausal: true, replacesBy: -.infinity, clears: true),
    ]

    /// Positions before heads: row r of head h begins at (r * heads + h) * width.
    private static func interleaved(_ heads: Int, _ width: Int) -> HeadMatrices {
        HeadMatrices(offsets: (0..<heads).map { $0 * width }, stride: heads * width)
    }

    private struct Problem {
        let example: Case
        let hidden: [UInt8]
        let bias: [Float]
        let attention: TiledAttention

        init(_ example: Case, _ numbers: inout SeededValues) {
            self.example = example
            let (queries, keys, heads) = (example.queries, example.keys, example.heads)
            hidden = (0..<heads * queries * keys).map { place in
                example.replacesBy != nil && (place / keys % queries == 1 || numbers.int(0...2) == 0) ? 1 : 0
            }
            bias = (0..<queries * keys).map { place in
                example.isCausal && place % keys > place / keys ? -.infinity : Float(place % 5) * 0.1
            }
            var masks = [AttentionMask(.added, offsets: Array(repeating: 0, count: heads), stride: keys)]
            if let fill = example.replacesBy {
                masks.append(
                    AttentionMask(
                        .replaced(fill: fill, where: true), offsets: (0..<heads).map { $0 * queries * keys },
                        stride: keys))
            }
            attention = TiledAttention(
                queries: queries, keys: keys, width: example.width, valueWidth: example.valueWidth, scale: 0.6,
                query: interleaved(heads, example.width), key: interleaved(heads, example.width),
                value: HeadMatrices(
                    offsets: (0..<heads).map { $0 * keys * example.valueWidth }, stride: example.valueWidth),
                output: interleaved(heads, example.valueWidth), masks: masks,
                visibleKeys: example.isCausal ? (0..<queries).map { min($0 + 1, keys) } : nil,
                clearsUndefinedQueries: example.clears)
        }

        func output(_ q: [Double], _ k: [Double], _ v: [Double]) -> [Double] {
            let (heads, keys, width, wide) = (example.heads, example.keys, example.width, example.valueWidth)
            var result = [Double](repeating: 0, count: heads * example.queries * wide)
            for head in 0..<heads {
                for query in 0..<example.queries {
                    var scores = (0..<keys).map { key in
                        0.6
                            * (0..<width).reduce(0) {
                                $0 + q[(query * heads + head) * width + $1] * k[(key * heads + head) * width + $1]
                            } + Double(bias[query * keys + key])
                    }
                    if let fill = example.replacesBy {
                        for key in 0..<keys where hidden[(head * example.queries + query) * keys + key] != 0 {
                            scores[key] = Double(fill)
                        }
                    }
                    let greatest = scores.max()!
                    if greatest == -.infinity { continue }
                    let weights = scores.map { exp($0 - greatest) }
                    let total = weights.reduce(0, +)
                    for feature in 0..<wide {
                        result[(query * heads + head) * wide + feature] = (0..<keys).reduce(0) {
                            $0 + weights[$1] / total * v[(head * keys + $1) * wide + feature]
                        }
                    }
                }
            }
            return result
        }
    }

    @Test(arguments: cases) func agreesWithTheDefinition(_ example: Case) {
        var numbers = SeededValues(17)
        let problem = Problem(example, &numbers)
        let attention = problem.attention
        let counts = [
            example.queries * example.width, example.keys * example.width, example.keys * example.valueWidth,
        ].map { $0 * example.heads }
        let values = counts.map { numbers.floats($0) }
        let g = numbers.floats(example.heads * example.queries * example.valueWidth)
        let pool = ThreadPool(threads: 2)
        var out = [Float](repeating: .nan, count: g.count)
        var gradients = counts.map { [Float](repeating: .nan, count: $0) }
        var scratch = [Float](repeating: .nan, count: attention.gradientScratchCount(workers: 2))
        problem.bias.withUnsafeBytes { bias in
            problem.hidden.withUnsafeBytes { hidden in
                let masks = [bias.baseAddress!, hidden.baseAddress!].prefix(attention.masks.count)
                attention.forward(
                    query: values[0], key: values[1], value: values[2], masks: Array(masks), into: &out,
                    scratch: &scratch, pool: pool)
                var (dq, dk, dv) = (gradients[0], gradients[1], gradients[2])
                attention.gradient(
                    query: values[0], key: values[1], value: values[2], masks: Array(masks), outputGradient: g,
                    intoQuery: &dq, key: &dk, value: &dv, scratch: &scratch, pool: pool)
                gradients = [dq, dk, dv]
            }
        }
        let doubles = values.map { $0.map(Double.init) }
        #expect(error(out, problem.output(doubles[0], doubles[1], doubles[2])) < 1e-5)
        // Along a direction in each operand, and along single elements of each.
        for operand in 0..<3 {
            var directions = [numbers.floats(counts[operand]).map(Double.init)]
            for _ in 0..<4 {
                var single = [Double](repeating: 0, count: counts[operand])
                single[numbers.int(0...counts[operand] - 1)] = 1
                directions.append(single)
            }
            for direction in directions {
                let step = 1e-5
                let ends = [step, -step].map { shift in
                    var moved = doubles
                    for index in direction.indices { moved[operand][index] += shift * direction[index] }
                    return zip(problem.output(moved[0], moved[1], moved[2]), g).reduce(0) { $0 + $1.0 * Double($1.1) }
                }
                let expected = (ends[0] - ends[1]) / (2 * step)
                let found = zip(gradients[operand], direction).reduce(0) { $0 + Double($1.0) * $1.1 }
                let scale = sqrt(Double(g.count))
                #expect(abs(found - expected) < 1e-4 * max(abs(expected), 0.1 * scale), "operand \(operand)")
            }
        }
    }
}
