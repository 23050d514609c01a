/// A box of elements of a row-major tensor, visited in the order of its own shape. Offset and strides count elements.
struct StridedView: Hashable, Sendable {
    var offset: Int
    var shape: [Int]
    var strides: [Int]

    /// A whole tensor, or consecutive elements of one.
    init(shape: [Int], offset: Int = 0) {
        self.offset = offset
        self.shape = shape
        strides = shape
        var stride = 1
        for axis in shape.indices.reversed() {
            strides[axis] = stride
            stride *= shape[axis]
        }
    }

    var count: Int { shape.reduce(1, *) }

    /// Whether the elements are consecutive and in their order.
    var isContiguous: Bool {
        var expected = 1
        for axis in shape.indices.reversed() where shape[axis] != 1 {
            if strides[axis] != expected { return false }
            expected *= shape[axis]
        }
        return true
    }

    /// The same elements without axes of extent 1.
    var squeezed: StridedView {
        var view = self
        let kept = shape.indices.filter { shape[$0] != 1 }
        view.shape = kept.map { shape[$0] }
        view.strides = kept.map { strides[$0] }
        return view
    }

    func permuted(_ order: [Int]) -> StridedView {
        var view = self
        view.shape = order.map { shape[$0] }
        view.strides = order.map { strides[$0] }
        return view
    }

    /// The part `range` of an axis.
    func slice(axis: Int, _ range: Range<Int>) -> StridedView {
        var view = self
        view.offset += range.lowerBound * strides[axis]
        view.shape[axis] = range.count
        return view
    }

    /// Calls `body` with runs of elements, as (offset, stride, count), until it returns false.
    /// - Returns: whether `body` always returned true.
    @inline(__always)
    func forEachRun(_ body: (_ offset: Int, _ stride: Int, _ count: Int) -> Bool) -> Bool {
        if count == 0 { return true }
        if isContiguous { return body(offset, 1, count) }
        let last = shape.count - 1
        var index = [Int](repeating: 0, count: last)
        var start = offset
        while true {
            if !body(start, strides[last], shape[last]) { return false }
            var axis = last - 1
            while axis >= 0 {
                index[axis] += 1
                start += strides[axis]
                if index[axis] < shape[axis] { break }
                start -= shape[axis] * strides[axis]
                index[axis] = 0
                axis -= 1
            }
            if axis < 0 { return true }
        }
    }

    /// Marks the elements; false, with some of them marked, if one already was.
    func mark(_ isMarked: inout [Bool]) -> Bool {
        forEachRun { start, stride, count in
            for step in 0..<count {
                if isMarked[start + step * stride] { return false }
                isMarked[start + step * stride] = true
            }
            return true
        }
    }

    /// The viewed elements of `values`, in the view's order.
    func gathered(from values: [Float]) -> [Float] {
        // A whole tensor is not copied: it may be as large as all other memory of a conversion.
        if isContiguous && offset == 0 && count == values.count { return values }
        if isContiguous { return Array(values[offset..<offset + count]) }
        return [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            values.withUnsafeBufferPointer { values in
                var position = 0
                _ = forEachRun { start, stride, length in
                    for step in 0..<length { buffer[position + step] = values[start + step * stride] }
                    position += length
                    return true
                }
            }
            filled = count
        }
    }

    /// Writes elements in the view's order to their places.
    func scatter(_ elements: [Float], into values: inout [Float]) {
        var position = 0
        values.withUnsafeMutableBufferPointer { values in
            _ = forEachRun { start, stride, length in
                for step in 0..<length { values[start + step * stride] = elements[position + step] }
                position += length
                return true
            }
        }
    }

    /// Whether the viewed elements of `values` are `elements`, in the view's order.
    func holds(_ elements: [Float], in values: [Float]) -> Bool {
        var position = 0
        return values.withUnsafeBufferPointer { values in
            elements.withUnsafeBufferPointer { elements in
                forEachRun { start, stride, length in
                    for step in 0..<length
                    where values[start + step * stride].bitPattern != elements[position + step].bitPattern {
                        return false
                    }
                    position += length
                    return true
                }
            }
        }
    }
}
