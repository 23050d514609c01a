import Glibc

/// The discrete Fourier transform of complex sequences whose length is a power of two.
///
/// Radix 2 without reordering: the forward transform leaves the spectrum in bit-reversed order, from which the backward
/// transform starts. Roots of unity are rounded once each, so that the relative error of a transform, in the l2 norm,
/// is about 2^-53 log2(count).
struct FourierTransform {
    let count: Int
    /// exp(-i pi r(b)), where the binary digits of b read backwards are the fraction r(b).
    private let rootsReal: [Double]
    private let rootsImaginary: [Double]

    /// - Precondition: `count` is a power of two, and at least 2.
    init(count: Int) {
        precondition(count >= 2 && count & (count - 1) == 0, "the length of a transform is a power of two")
        self.count = count
        var fractions = [0.0]
        var unit = 0.5
        while fractions.count < count / 2 {
            fractions += fractions.map { $0 + unit }
            unit /= 2
        }
        rootsReal = fractions.map { cos(.pi * $0) }
        rootsImaginary = fractions.map { -sin(.pi * $0) }
    }

    /// Where the spectrum holds the frequency opposite to the one at `index`: f and count - f.
    static func opposite(of index: Int) -> Int {
        if index < 2 { return index }
        let block = 1 << (Int.bitWidth - 1 - index.leadingZeroBitCount)
        return 3 * block - 1 - index
    }

    /// sum_m x_m exp(-2 pi i f m / count), in bit-reversed order of f.
    func forward(_ real: inout [Double], _ imaginary: inout [Double]) {
        precondition(real.count == count && imaginary.count == count)
        real.withUnsafeMutableBufferPointer { real in
            imaginary.withUnsafeMutableBufferPointer { imaginary in
                var half = count / 2
                while half >= 1 {
                    for block in 0..<(count / 2 / half) {
                        let (c, s) = (rootsReal[block], rootsImaginary[block])
                        let start = 2 * block * half
                        for low in start..<(start + half) {
                            let high = low + half
                            let a = real[high] * c - imaginary[high] * s
                            let b = real[high] * s + imaginary[high] * c
                            (real[high], imaginary[high]) = (real[low] - a, imaginary[low] - b)
                            (real[low], imaginary[low]) = (real[low] + a, imaginary[low] + b)
                        }
                    }
                    half /= 2
                }
            }
        }
    }

    /// The inverse of `forward`, in its order of frequencies.
    func backward(_ real: inout [Double], _ imaginary: inout [Double]) {
        precondition(real.count == count && imaginary.count == count)
        real.withUnsafeMutableBufferPointer { real in
            imaginary.withUnsafeMutableBufferPointer { imaginary in
                var half = 1
                while half < count {
                    for block in 0..<(count / 2 / half) {
                        let (c, s) = (rootsReal[block], rootsImaginary[block])
                        let start = 2 * block * half
                        for low in start..<(start + half) {
                            let high = low + half
                            let (a, b) = (real[low] - real[high], imaginary[low] - imaginary[high])
                            (real[low], imaginary[low]) = (real[low] + real[high], imaginary[low] + imaginary[high])
                            (real[high], imaginary[high]) = (a * c + b * s, b * c - a * s)
                        }
                    }
                    half *= 2
                }
                let scale = 1 / Double(count)
                for index in 0..<count {
                    real[index] *= scale
                    imaginary[index] *= scale
                }
            }
        }
    }
}
