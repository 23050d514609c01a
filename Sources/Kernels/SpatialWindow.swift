/// How a kernel slides along one spatial axis.
struct SpatialAxis: Sendable, Equatable {
    var input: Int
    var kernel: Int
    var stride: Int
    var dilation: Int
    var padBegin: Int
    var padEnd: Int
    var output: Int

    /// An axis that a problem of fewer dimensions does not have.
    static let absent = SpatialAxis(input: 1, kernel: 1, stride: 1, dilation: 1, padBegin: 0, padEnd: 0, output: 1)

    /// The outputs whose tap `tap` falls inside the input.
    @inline(__always)
    func outputsInside(tap: Int) -> Range<Int> {
        // Input index of output o is o * stride + shift; it must lie in 0..<input.
        let shift = tap * dilation - padBegin
        let first = shift >= 0 ? 0 : (-shift + stride - 1) / stride
        let end = input - shift <= 0 ? 0 : min(output, (input - shift + stride - 1) / stride)
        return min(first, end)..<end
    }

    /// How many taps of the window of output `position` fall inside the input, widened by the pads if `countPads`.
    func taps(at position: Int, countPads: Bool) -> Int {
        let low = countPads ? -padBegin : 0
        let high = countPads ? input + padEnd : input
        let start = position * stride - padBegin
        return (0..<kernel).reduce(0) { count, tap in
            let place = start + tap * dilation
            return place >= low && place < high ? count + 1 : count
        }
    }
}

/// A sliding window over one to three spatial axes, always seen as depth, height and width.
struct SpatialWindow: Sendable, Equatable {
    var z: SpatialAxis
    var y: SpatialAxis
    var x: SpatialAxis

    init(
        input: [Int], kernel: [Int], strides: [Int], dilations: [Int], padsBegin: [Int], padsEnd: [Int], output: [Int]
    ) {
        let rank = input.count
        precondition((1...3).contains(rank), "a spatial window has 1 to 3 axes, not \(rank)")
        precondition(
            [kernel, strides, dilations, padsBegin, padsEnd, output].allSatisfy { $0.count == rank },
            "a spatial window's kernel, strides, dilations and pads need \(rank) entries each")
        precondition(
            (input + padsBegin + padsEnd + output).allSatisfy { $0 >= 0 }
                && (kernel + strides + dilations).allSatisfy { $0 > 0 },
            "a spatial window needs positive kernel, strides and dilations and no negative size or pad")
        let axes = (0..<rank).map {
            SpatialAxis(
                input: input[$0], kernel: kernel[$0], stride: strides[$0], dilation: dilations[$0],
                padBegin: padsBegin[$0], padEnd: padsEnd[$0], output: output[$0])
        }
        z = rank == 3 ? axes[0] : .absent
        y = rank >= 2 ? axes[rank - 2] : .absent
        x = axes[rank - 1]
    }

    var inputCount: Int { z.input * y.input * x.input }
    var outputCount: Int { z.output * y.output * x.output }
    var kernelCount: Int { z.kernel * y.kernel * x.kernel }
}
