import Kernels
import TensorGraph

/// ONNX `Einsum`: operand by operand, each pair as one matrix product over the labels that nobody needs afterwards.
enum EinsteinSummation {
    static let all: [any OperatorPlugin] = [12, 28].map { StandardOperator("Einsum", since: $0, expand: expand) }

    /// A tensor whose axes carry labels, each once.
    private struct Term {
        var value: ValueID
        var labels: [Label]
    }

    /// A letter, or an axis of the ellipsis counted from the right.
    private enum Label: Hashable {
        case letter(Character)
        case ellipsis(Int)
    }

    @Sendable
    private static func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        guard let equation = try node.string("equation") else { throw .invalid("attribute 'equation' is missing") }
        let sides = equation.filter { !$0.isWhitespace }.split(separator: ">", omittingEmptySubsequences: false)
        var left = sides[0]
        if sides.count == 2 {
            guard left.last == "-" else { throw .invalid("equation '\(equation)' has no arrow '->'") }
            left.removeLast()
        }
        let operands = left.split(separator: ",", omittingEmptySubsequences: false)
        guard sides.count <= 2, operands.count == node.inputs.count else {
            throw .invalid("equation '\(equation)' does not have \(node.inputs.count) operands")
        }
        var terms: [Term] = []
        for (index, text) in operands.enumerated() {
            let value = try node.input(index)
            let labels = try labels(text, rank: node.shape(value).count, equation)
            terms.append(try diagonal(Term(value: value, labels: labels), in: &node.builder))
        }
        let output =
            sides.count == 2
            ? try labels(sides[1], rank: nil, equation, like: terms.flatMap(\.labels)) : implicitOutput(operands, terms)
        guard Set(output).count == output.count else {
            throw .invalid("equation '\(equation)' repeats an output label")
        }

        var result = try summed(terms[0], keeping: Set(output + terms.dropFirst().flatMap(\.labels)), in: &node.builder)
        for (index, term) in terms.enumerated().dropFirst() {
            let later = Set(output + terms.dropFirst(index + 1).flatMap(\.labels))
            let next = try summed(term, keeping: later.union(result.labels), in: &node.builder)
            result = try contracted(result, next, keeping: later, in: &node.builder)
        }
        guard Set(output).isSubset(of: result.labels) else {
            throw .invalid("equation '\(equation)' has an output label that no operand has")
        }
        let order = output.map { result.labels.firstIndex(of: $0)! }
        return [try node.builder.transpose(result.value, order)]
    }

    // MARK: The equation

    /// - Parameters:
    ///   - rank: of the operand; nil for the output, whose ellipsis is as long as the operands'.
    private static func labels(
        _ text: Substring, rank: Int?, _ equation: String, like others: [Label] = []
    ) throws(GraphError) -> [Label] {
        let letters = text.filter { $0 != "." }
        guard letters.allSatisfy({ $0.isASCII && $0.isLetter }), text.count - letters.count == 0 || text.contains("...")
        else { throw .invalid("equation '\(equation)' is malformed") }
        let ellipsis =
            rank.map { $0 - letters.count }
            ?? others.reduce(0) { count, label in
                if case .ellipsis(let axis) = label { max(count, axis + 1) } else { count }
            }
        guard text.contains("...") ? ellipsis >= 0 : rank == nil || ellipsis == 0 else {
            throw .invalid("equation '\(equation)' does not fit an operand of rank \(rank ?? 0)")
        }
        guard let dots = text.firstRange(of: "...") else { return letters.map { .letter($0) } }
        return text[..<dots.lowerBound].map { .letter($0) } + (0..<ellipsis).reversed().map { .ellipsis($0) }
            + text[dots.upperBound...].map { .letter($0) }
    }

    /// The ellipsis, then the letters that occur once in alphabetical order.
    private static func implicitOutput(_ operands: [Substring], _ terms: [Term]) -> [Label] {
        let letters = operands.joined().filter { $0 != "." }
        let single = Set(letters).filter { letter in letters.count { $0 == letter } == 1 }.sorted()
        let ellipsis = Set(terms.flatMap(\.labels)).compactMap { label in
            if case .ellipsis(let axis) = label { axis } else { nil }
        }
        return ellipsis.sorted(by: >).map { .ellipsis($0) } + single.map { .letter($0) }
    }

    // MARK: Terms

    /// The entries at which the axes of a repeated label agree.
    private static func diagonal(_ term: Term, in builder: inout GraphBuilder) throws(GraphError) -> Term {
        var term = term
        while let first = term.labels.indices.first(where: { term.labels[($0 + 1)...].contains(term.labels[$0]) }) {
            let second = term.labels[(first + 1)...].firstIndex(of: term.labels[first])!
            let rest = term.labels.indices.filter { $0 != first && $0 != second }
            let shape = builder.shape(of: term.value)
            guard shape[first] == shape[second] else { throw .invalid("axes of one label differ in size: \(shape)") }
            let size = shape[first]
            let moved = try builder.transpose(term.value, rest + [first, second])
            let flat = try builder.view(moved, rest.map { shape[$0] } + [size * size])
            let places = builder.addConstant(Constant((0..<size).map { Int64($0 * (size + 1)) }))
            term = Term(
                value: try builder.emit(Gathering(axis: rest.count), flat, places),
                labels: rest.map { term.labels[$0] } + [term.labels[first]])
        }
        return term
    }

    private static func summed(_ term: Term, keeping labels: Set<Label>, in builder: inout GraphBuilder)
        throws(GraphError) -> Term
    {
        let axes = term.labels.indices.filter { !labels.contains(term.labels[$0]) }
        return Term(value: try builder.sum(term.value, axes: axes), labels: term.labels.filter(labels.contains))
    }

    /// The product of two terms, summed over the labels that both have and nobody needs afterwards.
    private static func contracted(
        _ left: Term, _ right: Term, keeping labels: Set<Label>, in builder: inout GraphBuilder
    )
        throws(GraphError) -> Term
    {
        var (left, right) = (left, right)
        for label in left.labels where right.labels.contains(label) && !labels.contains(label) {
            // An axis of one entry stands for all entries of the other.
            let sizes = [left, right].map { builder.shape(of: $0.value)[$0.labels.firstIndex(of: label)!] }
            guard sizes[0] != sizes[1] else { continue }
            guard sizes.contains(1) else { throw .invalid("axes of one label differ in size: \(sizes)") }
            left = try summed(left, keeping: Set(left.labels).subtracting([label]), in: &builder)
            right = try summed(right, keeping: Set(right.labels).subtracting([label]), in: &builder)
        }
        let shared = left.labels.filter { right.labels.contains($0) && labels.contains($0) }
        let inner = left.labels.filter { right.labels.contains($0) && !labels.contains($0) }
        let rows = left.labels.filter { !right.labels.contains($0) }
        let columns = right.labels.filter { !left.labels.contains($0) }
        if inner.isEmpty || builder.type(of: left.value).elementType == .int64 {
            let all = shared + rows + columns + inner
            let product = try builder.multiply(
                try aligned(left, to: all, in: &builder), try aligned(right, to: all, in: &builder))
            return try summed(Term(value: product, labels: all), keeping: labels, in: &builder)
        }
        var (a, aIsFlipped) = try matrix(left, shared, rows, inner, in: &builder)
        if shared.isEmpty, rows.count > 1, !aIsFlipped {
            // Rows that meet one matrix keep their axes, one of which may be that of the samples.
            a = try builder.view(a, sizes(rows, left, in: builder) + [builder.shape(of: a)[1]])
        }
        let (b, bIsFlipped) = try matrix(right, shared, inner, columns, in: &builder)
        let product = try builder.matmul(a, b, transposingLeft: aIsFlipped, transposingRight: bIsFlipped)
        let leading = Array(builder.shape(of: product).prefix(shared.count))
        return Term(
            value: try builder.view(
                product, leading + sizes(rows, left, in: builder) + sizes(columns, right, in: builder)),
            labels: shared + rows + columns)
    }

    private static func sizes(_ labels: [Label], _ term: Term, in builder: GraphBuilder) -> [Int] {
        labels.map { builder.shape(of: term.value)[term.labels.firstIndex(of: $0)!] }
    }

    /// The term as matrices [shared..., first, second], or transposed where it is stored so.
    private static func matrix(
        _ term: Term, _ shared: [Label], _ first: [Label], _ second: [Label], in builder: inout GraphBuilder
    ) throws(GraphError) -> (value: ValueID, isFlipped: Bool) {
        let isFlipped = term.labels == shared + second + first && !first.isEmpty && !second.isEmpty
        let parts = isFlipped ? [second, first] : [first, second]
        let order = (shared + parts[0] + parts[1]).map { term.labels.firstIndex(of: $0)! }
        let moved = try builder.transpose(term.value, order)
        let shape = builder.shape(of: moved)
        let split = shared.count + parts[0].count
        let matrices =
            shape[..<shared.count] + [shape[shared.count..<split].elementCount, shape[split...].elementCount]
        return (try builder.view(moved, Array(matrices)), isFlipped)
    }

    /// The term with an axis for every one of `labels`, of one entry where it lacks the label.
    private static func aligned(_ term: Term, to labels: [Label], in builder: inout GraphBuilder) throws(GraphError)
        -> ValueID
    {
        let order = labels.compactMap { term.labels.firstIndex(of: $0) }
        let shape = builder.shape(of: term.value)
        let aligned = labels.map { label in term.labels.firstIndex(of: label).map { shape[$0] } ?? 1 }
        return try builder.view(try builder.transpose(term.value, order), aligned)
    }
}
