/// Finds smaller tensors inside a larger one: queries, keys and values in one matrix, the directions of a recurrent layer
/// and its two biases, rows of a table.
///
/// A part is a range of rows, the leading axes taken together, or a range of any other axis. Ranges are recognised by the
/// fingerprints of their elements, whatever their order inside the part.
struct SliceSearch {
    /// Parts smaller than this may be equal by accident.
    static let smallestPart = 4

    /// Where a part of that fingerprint may lie.
    struct Hit: Sendable {
        var part: Fingerprint
        var view: StridedView
    }

    /// - Parameter parts: fingerprints of the tensors to look for.
    static func hits(for parts: Set<Fingerprint>, in values: [Float], shape: [Int]) -> [Hit] {
        let parts = parts.filter { $0.count >= smallestPart && $0.count < values.count }
        guard !parts.isEmpty else { return [] }
        var hits: [Hit] = []
        var seen: Set<StridedView> = []
        for axis in shape.indices {
            let width = shape[(axis + 1)...].reduce(1, *)
            let rows = StridedView(shape: [values.count / max(width, 1)] + shape[(axis + 1)...])
            search(rows, axis: 0, parts, values, &hits, &seen)
            if axis > 0 { search(StridedView(shape: shape), axis: axis, parts, values, &hits, &seen) }
        }
        return hits
    }

    private static func search(
        _ whole: StridedView, axis: Int, _ parts: Set<Fingerprint>, _ values: [Float], _ hits: inout [Hit],
        _ seen: inout Set<StridedView>
    ) {
        let extent = whole.shape[axis]
        guard extent > 1 else { return }
        let width = whole.count / extent
        let lengths = Set(parts.filter { $0.count % width == 0 }.map { $0.count / width }).sorted()
        guard !lengths.isEmpty else { return }
        var sums = [Fingerprint()]
        for index in 0..<extent {
            var sum = sums[index]
            for value in whole.slice(axis: axis, index..<index + 1).gathered(from: values) { sum.add(value) }
            sums.append(sum)
        }
        for length in lengths where length < extent {
            for start in 0...extent - length {
                let part = sums[start + length] - sums[start]
                guard parts.contains(part) else { continue }
                let view = whole.slice(axis: axis, start..<start + length)
                if seen.insert(view).inserted { hits.append(Hit(part: part, view: view)) }
            }
        }
    }
}
