extension NamedArray {
    /// Copies rows as float32, in the order given; `destination` holds `rows.count * rowElementCount` elements.
    ///
    /// Integers and booleans become the nearest float, float64 is rounded, and every element is divided by
    /// `divisor`. Not-a-number and infinite elements pass through: the trainer leaves such samples out.
    public func gather(rows: [Int], into destination: UnsafeMutableBufferPointer<Float>) {
        checkBounds(rows, destination.count)
        if type == .float32 && divisor == 1 { return copyRows(rows, to: UnsafeMutableRawBufferPointer(destination)) }
        let divisor = divisor
        switch type {
        case .bool: convert(rows, UInt8.self, destination) { $0 == 0 ? 0 : 1 }
        case .int8: convert(rows, Int8.self, destination) { Float($0) / divisor }
        case .int16: convert(rows, Int16.self, destination) { Float($0) / divisor }
        case .int32: convert(rows, Int32.self, destination) { Float($0) / divisor }
        case .int64: convert(rows, Int64.self, destination) { Float($0) / divisor }
        case .uint8: convert(rows, UInt8.self, destination) { Float($0) / divisor }
        case .uint16: convert(rows, UInt16.self, destination) { Float($0) / divisor }
        case .uint32: convert(rows, UInt32.self, destination) { Float($0) / divisor }
        case .uint64: convert(rows, UInt64.self, destination) { Float($0) / divisor }
        case .float16: convert(rows, UInt16.self, destination) { Float(Float16(bitPattern: $0)) / divisor }
        case .bfloat16: convert(rows, UInt16.self, destination) { Float(bitPattern: UInt32($0) << 16) / divisor }
        case .float32: convert(rows, UInt32.self, destination) { Float(bitPattern: $0) / divisor }
        case .float64: convert(rows, UInt64.self, destination) { Float(Double(bitPattern: $0) / Double(divisor)) }
        }
    }

    /// Copies rows as float64; otherwise like the float32 form.
    public func gather(rows: [Int], into destination: UnsafeMutableBufferPointer<Double>) {
        checkBounds(rows, destination.count)
        if type == .float64 && divisor == 1 { return copyRows(rows, to: UnsafeMutableRawBufferPointer(destination)) }
        let divisor = Double(divisor)
        switch type {
        case .bool: convert(rows, UInt8.self, destination) { $0 == 0 ? 0 : 1 }
        case .int8: convert(rows, Int8.self, destination) { Double($0) / divisor }
        case .int16: convert(rows, Int16.self, destination) { Double($0) / divisor }
        case .int32: convert(rows, Int32.self, destination) { Double($0) / divisor }
        case .int64: convert(rows, Int64.self, destination) { Double($0) / divisor }
        case .uint8: convert(rows, UInt8.self, destination) { Double($0) / divisor }
        case .uint16: convert(rows, UInt16.self, destination) { Double($0) / divisor }
        case .uint32: convert(rows, UInt32.self, destination) { Double($0) / divisor }
        case .uint64: convert(rows, UInt64.self, destination) { Double($0) / divisor }
        case .float16: convert(rows, UInt16.self, destination) { Double(Float16(bitPattern: $0)) / divisor }
        case .bfloat16:
            convert(rows, UInt16.self, destination) { Double(Float(bitPattern: UInt32($0) << 16)) / divisor }
        case .float32: convert(rows, UInt32.self, destination) { Double(Float(bitPattern: $0)) / divisor }
        case .float64: convert(rows, UInt64.self, destination) { Double(bitPattern: $0) / divisor }
        }
    }

    /// Copies rows as int64. Integers are taken as stored, whatever `divisor` says: it scales pixels for a
    /// floating-point input only. Throws when an element is a fraction, not finite or out of range.
    public func gather(rows: [Int], into destination: UnsafeMutableBufferPointer<Int64>) throws(DataError) {
        checkBounds(rows, destination.count)
        if type == .int64 { return copyRows(rows, to: UnsafeMutableRawBufferPointer(destination)) }
        try gatherIntegers(rows, destination)
    }

    /// Copies rows as int32, under the same rule as int64.
    public func gather(rows: [Int], into destination: UnsafeMutableBufferPointer<Int32>) throws(DataError) {
        checkBounds(rows, destination.count)
        if type == .int32 { return copyRows(rows, to: UnsafeMutableRawBufferPointer(destination)) }
        try gatherIntegers(rows, destination)
    }

    /// Copies rows as booleans, one byte of 0 or 1 each. Throws when an element of another type is neither 0 nor 1.
    public func gather(rows: [Int], into destination: UnsafeMutableBufferPointer<UInt8>) throws(DataError) {
        checkBounds(rows, destination.count)
        if type == .bool { return convert(rows, UInt8.self, destination) { $0 == 0 ? 0 : 1 } }
        try gatherIntegers(rows, destination, wanted: "0 or 1") { $0 <= 1 }
    }

    private func gatherIntegers<Target: FixedWidthInteger>(
        _ rows: [Int], _ destination: UnsafeMutableBufferPointer<Target>, wanted: String = "an integer in range",
        accepts: (Target) -> Bool = { _ in true }
    ) throws(DataError) {
        let failure: Failure?
        switch type {
        case .bool: failure = attempt(rows, UInt8.self, destination, accepts) { $0 == 0 ? 0 : 1 }
        case .int8: failure = attempt(rows, Int8.self, destination, accepts) { Target(exactly: $0) }
        case .int16: failure = attempt(rows, Int16.self, destination, accepts) { Target(exactly: $0) }
        case .int32: failure = attempt(rows, Int32.self, destination, accepts) { Target(exactly: $0) }
        case .int64: failure = attempt(rows, Int64.self, destination, accepts) { Target(exactly: $0) }
        case .uint8: failure = attempt(rows, UInt8.self, destination, accepts) { Target(exactly: $0) }
        case .uint16: failure = attempt(rows, UInt16.self, destination, accepts) { Target(exactly: $0) }
        case .uint32: failure = attempt(rows, UInt32.self, destination, accepts) { Target(exactly: $0) }
        case .uint64: failure = attempt(rows, UInt64.self, destination, accepts) { Target(exactly: $0) }
        case .float16:
            failure = attempt(rows, UInt16.self, destination, accepts) {
                Target(exactly: Float(Float16(bitPattern: $0)))
            }
        case .bfloat16:
            failure = attempt(rows, UInt16.self, destination, accepts) {
                Target(exactly: Float(bitPattern: UInt32($0) << 16))
            }
        case .float32:
            failure = attempt(rows, UInt32.self, destination, accepts) { Target(exactly: Float(bitPattern: $0)) }
        case .float64:
            failure = attempt(rows, UInt64.self, destination, accepts) { Target(exactly: Double(bitPattern: $0)) }
        }
        if let failure {
            var value = [0.0]
            let element = reshaped(to: [elementCount])
            value.withUnsafeMutableBufferPointer { element.gather(rows: [failure.element], into: $0) }
            throw DataError(
                .mismatch, "row \(failure.row) holds \(value[0] * Double(divisor)) where \(wanted) is needed", at: place
            )
        }
    }

    private struct Failure {
        var row: Int
        var element: Int
    }

    private func checkBounds(_ rows: [Int], _ capacity: Int) {
        precondition(capacity == rows.count * rowElementCount, "destination does not fit the rows")
        precondition(rows.allSatisfy { $0 >= 0 && $0 < rowCount }, "row out of range")
    }

    private func copyRows(_ rows: [Int], to destination: UnsafeMutableRawBufferPointer) {
        let stride = rowElementCount * type.byteCount
        guard stride > 0, let target = destination.baseAddress else { return }
        for (position, row) in rows.enumerated() {
            (target + position * stride).copyMemory(from: storage.base + offset + row * stride, byteCount: stride)
        }
    }

    @inline(__always)
    private func convert<Source: BitwiseCopyable, Target>(
        _ rows: [Int], _: Source.Type, _ destination: UnsafeMutableBufferPointer<Target>, _ body: (Source) -> Target
    ) {
        let width = rowElementCount
        let size = MemoryLayout<Source>.size
        guard let target = destination.baseAddress else { return }
        for (position, row) in rows.enumerated() {
            let from = storage.base + offset + row * width * size
            let into = target + position * width
            for column in 0..<width {
                into[column] = body(from.loadUnaligned(fromByteOffset: column * size, as: Source.self))
            }
        }
    }

    /// Converts until an element has no value in the target type, and tells where that was.
    @inline(__always)
    private func attempt<Source: BitwiseCopyable, Target>(
        _ rows: [Int], _: Source.Type, _ destination: UnsafeMutableBufferPointer<Target>,
        _ accepts: (Target) -> Bool, _ body: (Source) -> Target?
    ) -> Failure? {
        let width = rowElementCount
        let size = MemoryLayout<Source>.size
        for (position, row) in rows.enumerated() {
            let from = storage.base + offset + row * width * size
            for column in 0..<width {
                let source = from.loadUnaligned(fromByteOffset: column * size, as: Source.self)
                guard let value = body(source), accepts(value) else {
                    return Failure(row: row, element: row * width + column)
                }
                destination[position * width + column] = value
            }
        }
        return nil
    }
}
